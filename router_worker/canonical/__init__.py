"""The chat request and answer between client formats and vendor formats: each format is read and written once."""
