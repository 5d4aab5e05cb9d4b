"""Cohere's API v2: chat and embed."""
