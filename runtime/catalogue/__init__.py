"""The catalogue's files and their reader: `models.json` is built, `overrides.toml` and operators' files go on top."""
