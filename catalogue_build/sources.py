"""The two published price lists, read from their wheels without installing or running either."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

from catalogue_build.pins import PINS, wheel_of

_MEMBERS = ("genai_prices/data.py", "litellm/model_prices_and_context_window_backup.json")


class MissingSource(Exception):
    """The wheels are not there, or not in the pinned versions."""


@dataclass(frozen=True)
class Sources:
    """`genai`: Python source of genai-prices' packaged data. `litellm`: litellm's published JSON."""

    genai: str
    litellm: str


def read_sources(wheels: Path) -> Sources:
    """From a directory with both wheels. Raises MissingSource."""
    texts = []
    for pin, member in zip(PINS, _MEMBERS, strict=True):
        wheel = wheel_of(wheels, pin)
        if wheel is None:
            raise MissingSource(f"{wheels} has no wheel of {pin}; `make catalogue` brings it")
        with zipfile.ZipFile(wheel) as archive:
            texts.append(archive.read(member).decode("utf-8"))
    return Sources(*texts)
