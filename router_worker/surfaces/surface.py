"""The interface of a client API: what routing needs of a body, the canonical request, and answers in its own form.

No I/O and no clock. The paths, keys and error bodies of the same API are the ingress's (`ingress/surfaces`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from router_worker.canonical.answer import Answer, Embeddings, Event
from router_worker.canonical.request import ChatRequest, EmbeddingsRequest
from router_worker.vendors.vendor import VendorCall
from schemas.catalogue import Capability, ModelKind
from schemas.failures import Failure
from schemas.usage import TokenCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Only what routing, capping and billing need; the rest of the body is the vendor's to judge.

    max_output_tokens: the client's own cap per choice. has_media: images, documents or sound, or what the vendor adds
    of its own (its tools, a stored prompt), whose tokens the body's length does not bound. canonical: reads all of the
    body, or says why it cannot be said in another format; called only if a route needs it. free: vendors charge nothing
    for it, whatever happens (counting tokens).
    """

    streaming: bool
    canonical: Callable[[], ChatRequest | EmbeddingsRequest | Failure]
    needs: frozenset[Capability] = frozenset()
    wants_usage: bool = False
    choices: int = 1
    max_output_tokens: int | None = None
    has_media: bool = False
    kind: ModelKind = "chat"
    free: bool = False

    @property
    def generates(self) -> bool:
        """Tokens that are paid for."""
        return not self.free and self.kind != "embeddings"


class Surface(Protocol):
    def read(self, body: bytes, *, streaming: bool) -> Reading | Failure:
        """`streaming`: what the ingress read, from the path where the body does not say it. INVALID_JSON or
        INVALID_REQUEST, the latter with the field at fault in `param`."""


class AnswerWriter(Protocol):
    """One streamed answer, in the client's events."""

    def write(self, events: Sequence[Event]) -> bytes:
        """May be empty. The opening events of the client's format come with the first call."""

    def finish(self, tokens: TokenCounts | None) -> bytes:
        """The answer is whole: what is still open is closed, with the usage and the end marker. Called once, last."""


class ChatSurface(Surface, Protocol):
    def write_answer(self, answer: Answer, call: VendorCall) -> bytes:
        """The body of a plain answer. `call` gives its model, id and time."""

    def open_writer(self, call: VendorCall) -> AnswerWriter: ...


class EmbeddingsSurface(Surface, Protocol):
    def write_embeddings(self, embeddings: Embeddings, call: VendorCall) -> bytes: ...
