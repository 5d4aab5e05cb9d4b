"""Every wire format the simulator plays: one line each. The first endpoint that matches a request serves it."""

import time

from deploy.local.vendors import (
    anthropic_wire,
    bedrock_wire,
    cohere_wire,
    gemini_wire,
    mistral_wire,
    openai_embeddings,
    openai_wire,
    responses_wire,
)
from deploy.local.vendors.wire import Endpoint


def all_endpoints() -> tuple[Endpoint, ...]:
    return (
        # Before OpenAI's: the paths are the same.
        *mistral_wire.endpoints(),
        *openai_wire.endpoints(),
        *openai_embeddings.endpoints(),
        *responses_wire.endpoints(),
        *bedrock_wire.endpoints(time.time),
        *cohere_wire.endpoints(),
        *anthropic_wire.endpoints(),
        *gemini_wire.endpoints(),
        # Last: any path that ends in /models.
        *openai_wire.models_endpoints(),
    )
