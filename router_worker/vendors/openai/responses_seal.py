"""What vendors other than OpenAI want back of their reasoning, in the `encrypted_content` of a reasoning item.

Clients of this API send such items back as they are, so it is the one place in which a signature survives. The mark
tells whose it is: a vendor refuses what another one signed. What carries no mark is OpenAI's own.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from router_worker.canonical.answer import MadeBy

SealKind = Literal["signature", "encrypted", "call", "none"]

_MARK = "tollhouse"
_MAKERS: frozenset[str] = frozenset(get_args(MadeBy))


@dataclass(frozen=True, slots=True)
class Seal:
    """signature: of the text beside it. encrypted: instead of a text. call: of the call that follows."""

    kind: SealKind
    made_by: MadeBy
    data: str


def write_seal(seal: Seal) -> str | None:
    if seal.kind == "none":
        return None
    if seal.kind == "encrypted" and seal.made_by == "openai":
        return seal.data
    return f"{_MARK}.{seal.made_by}.{seal.kind}.{seal.data}"


def open_seal(text: str | None) -> Seal:
    if not text:
        return Seal("none", "unknown", "")
    mark, _, rest = text.partition(".")
    made_by, _, rest = rest.partition(".")
    kind, _, data = rest.partition(".")
    if mark == _MARK and made_by in _MAKERS:
        for known in ("signature", "encrypted", "call"):
            if kind == known:
                return Seal(known, _maker(made_by), data)
    return Seal("encrypted", "openai", text)


def is_openais(text: str | None) -> bool:
    """Whether OpenAI itself wrote this `encrypted_content`."""
    seal = open_seal(text)
    return seal.kind == "encrypted" and seal.made_by == "openai"


def _maker(name: str) -> MadeBy:
    makers: dict[str, MadeBy] = {"anthropic": "anthropic", "gemini": "gemini", "openai": "openai", "bedrock": "bedrock"}
    return makers.get(name, "unknown")
