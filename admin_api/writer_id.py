"""The name under which a process writes the configuration."""

from schemas.ids import RandomBytes


def new_writer_id(process: str, random_bytes: RandomBytes) -> str:
    """Of this life of this process and no other: two lives under one name could not be told apart (schemas.fencing)."""
    return f"{process}-{random_bytes(8).hex()}"
