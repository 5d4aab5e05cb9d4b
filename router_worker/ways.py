"""Which client APIs a vendor can serve, and how: as it is where both speak the same format, else translated."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from router_worker.surfaces.anthropic.messages import AnthropicCountTokens as CountTokensSurface
from router_worker.surfaces.anthropic.messages import AnthropicMessages as MessagesSurface
from router_worker.surfaces.field_names import FIELD_NAMES
from router_worker.surfaces.gemini.generate import GeminiGenerate as GeminiSurface
from router_worker.surfaces.openai_chat.chat import OpenAiChat as ChatCompletionsSurface
from router_worker.surfaces.openai_embeddings import OpenAiEmbeddings as EmbeddingsSurface
from router_worker.surfaces.openai_responses.responses import OpenAiResponses as ResponsesSurface
from router_worker.surfaces.surface import ChatSurface, Surface
from router_worker.translate import Translated, TranslatedEmbeddings
from router_worker.usable_vendor import Way
from router_worker.vendors.anthropic.messages import AnthropicCountTokens, AnthropicMessages
from router_worker.vendors.anthropic.wire import AnthropicWire
from router_worker.vendors.bedrock.converse import BedrockConverse
from router_worker.vendors.cohere.wire import CohereWire
from router_worker.vendors.gemini.embeddings import GeminiEmbeddings
from router_worker.vendors.gemini.generate import GeminiGenerate
from router_worker.vendors.gemini.wire import GeminiWire
from router_worker.vendors.openai.chat import OpenAiChat
from router_worker.vendors.openai.embeddings import OpenAiEmbeddings
from router_worker.vendors.openai.responses import OpenAiResponses
from router_worker.vendors.openai.wire import OpenAiWire
from router_worker.vendors.row import VendorRow
from router_worker.vendors.vendor import Vendor
from router_worker.vendors.wire import EmbeddingsWire, Wire
from schemas.envelope import Surface as SurfaceName

CHAT_SURFACES: Mapping[SurfaceName, ChatSurface] = {
    "openai.chat": ChatCompletionsSurface(),
    "openai.responses": ResponsesSurface(),
    "anthropic.messages": MessagesSurface(),
    "gemini.generate": GeminiSurface(),
}
_EMBEDDINGS = EmbeddingsSurface()

SURFACES: Mapping[SurfaceName, Surface] = {
    **CHAT_SURFACES,
    "anthropic.count_tokens": CountTokensSurface(),
    "openai.embeddings": _EMBEDDINGS,
}


@dataclass(frozen=True)
class _Formats:
    """What is known of one vendor format. `as_it_is`: the client APIs that it needs no translation from."""

    wire: Wire
    as_it_is: Mapping[SurfaceName, Vendor] = field(default_factory=dict)
    embeddings: EmbeddingsWire | None = None


def ways_of(row: VendorRow) -> dict[SurfaceName, Way]:
    formats = _formats(row)
    ways = {
        name: Way(Translated(surface, formats.wire, FIELD_NAMES[name]), translated=True)
        for name, surface in CHAT_SURFACES.items()
    }
    if formats.embeddings is not None:
        ways["openai.embeddings"] = Way(TranslatedEmbeddings(_EMBEDDINGS, formats.embeddings), translated=True)
    return ways | {name: Way(vendor, translated=False) for name, vendor in formats.as_it_is.items()}


def _formats(row: VendorRow) -> _Formats:
    match row.wire:
        case "openai":
            as_it_is: dict[SurfaceName, Vendor] = {
                "openai.chat": OpenAiChat(row),
                "openai.embeddings": OpenAiEmbeddings(row),
            }
            if row.quirks.responses:
                as_it_is["openai.responses"] = OpenAiResponses(row)
            return _Formats(OpenAiWire(row), as_it_is)
        case "anthropic" | "anthropic_vertex":
            return _Formats(
                AnthropicWire(row),
                {"anthropic.messages": AnthropicMessages(row), "anthropic.count_tokens": AnthropicCountTokens(row)},
            )
        case "gemini" | "gemini_vertex":
            return _Formats(GeminiWire(row), {"gemini.generate": GeminiGenerate(row)}, GeminiEmbeddings(row))
        case "bedrock":
            return _Formats(BedrockConverse(row))
        case "cohere":
            cohere = CohereWire(row)
            return _Formats(cohere, embeddings=cohere)
