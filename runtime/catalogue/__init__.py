"""The catalogue's files and how they are read: `models.toml` is built in, an operator's files are laid over it."""
