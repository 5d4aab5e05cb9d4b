"""Anthropic Messages and its token counts."""
