"""How the thoughts of other vendors travel in Anthropic's format, in which each thought must have a signature.

A client sends thinking blocks back as it got them. One that another vendor's model thought bears its maker in front of
the signature, so that it can be told from Anthropic's own: Anthropic refuses a request with a signature not its own.
Signatures of Claude are the same at Anthropic, Bedrock and Vertex, so Bedrock's stay unmarked.
"""

from router_worker.canonical.answer import MadeBy

MARK = "tollhouse:"

_MAKERS: dict[str, MadeBy] = {"gemini": "gemini", "openai": "openai", "unknown": "unknown"}


def marked(proof: str | None, made_by: MadeBy) -> str:
    """What the client gets as signature, or as the data of a redacted thought."""
    if made_by in ("anthropic", "bedrock") and proof:
        return proof
    return f"{MARK}{made_by if made_by in _MAKERS else 'unknown'}:{proof or ''}"


def unmarked(proof: str) -> tuple[str | None, MadeBy]:
    if not proof.startswith(MARK):
        return proof or None, "anthropic"
    maker, _, rest = proof.removeprefix(MARK).partition(":")
    return rest or None, _MAKERS.get(maker, "unknown")
