"""The client APIs and their paths. Pure data: one line per path."""

from collections.abc import Mapping
from typing import NamedTuple

from ingress.surfaces.anthropic_messages import AnthropicCountTokens, AnthropicMessages
from ingress.surfaces.gemini_generate import GeminiGenerate
from ingress.surfaces.openai_chat import OpenAiChat
from ingress.surfaces.openai_embeddings import OpenAiEmbeddings
from ingress.surfaces.openai_responses import OpenAiResponses
from ingress.surfaces.surface import ClientSurface
from schemas.envelope import Surface
from schemas.failures import Failure


class _AnyKey(OpenAiChat):
    """For paths that every SDK asks, each with the key where its own API has it."""

    def secret(self, headers: Mapping[str, str], query: Mapping[str, str]) -> str | Failure:
        return headers.get("x-api-key") or headers.get("x-goog-api-key") or super().secret(headers, query)


ANY_KEY: ClientSurface = _AnyKey()


class Endpoint(NamedTuple):
    path: str
    surface: ClientSurface


_SURFACES: tuple[ClientSurface, ...] = (
    OpenAiChat(),
    OpenAiResponses(),
    OpenAiEmbeddings(),
    AnthropicMessages(),
    AnthropicCountTokens(),
    GeminiGenerate(),
)
SURFACES: Mapping[Surface, ClientSurface] = {surface.name: surface for surface in _SURFACES}

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("/v1/chat/completions", SURFACES["openai.chat"]),
    Endpoint("/v1/responses", SURFACES["openai.responses"]),
    Endpoint("/v1/embeddings", SURFACES["openai.embeddings"]),
    Endpoint("/v1/openai/chat/completions", SURFACES["openai.chat"]),
    Endpoint("/v1/openai/responses", SURFACES["openai.responses"]),
    Endpoint("/v1/openai/embeddings", SURFACES["openai.embeddings"]),
    Endpoint("/v1/messages", SURFACES["anthropic.messages"]),
    Endpoint("/v1/messages/count_tokens", SURFACES["anthropic.count_tokens"]),
    Endpoint("/v1/anthropic/v1/messages", SURFACES["anthropic.messages"]),
    Endpoint("/v1/anthropic/v1/messages/count_tokens", SURFACES["anthropic.count_tokens"]),
)

# The SDK takes the one or the other by its version.
GEMINI_PATHS = ("/v1beta/models/{model:.+}:{action}", "/v1/models/{model:.+}:{action}")
GEMINI_ACTIONS = ("generateContent", "streamGenerateContent")
_GEMINI_WORDS = (*GEMINI_ACTIONS, "countTokens", "embedContent", "batchEmbedContents")
MODEL_LISTS = ("/v1/models", "/v1/openai/models", "/v1/anthropic/v1/models")

# For answers to paths that there are not: whose errors the client can read.
_BY_PREFIX: tuple[tuple[str, Surface], ...] = (
    ("/v1beta/", "gemini.generate"),
    ("/v1/messages", "anthropic.messages"),
    ("/v1/anthropic/", "anthropic.messages"),
)


def surface_of_path(path: str) -> ClientSurface:
    if path.startswith("/v1/models/") and path.endswith(_GEMINI_WORDS):
        return SURFACES["gemini.generate"]
    return SURFACES[next((name for prefix, name in _BY_PREFIX if path.startswith(prefix)), "openai.chat")]
