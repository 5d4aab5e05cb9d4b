"""The one command, above the services."""
