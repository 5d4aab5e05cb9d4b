"""What each client API calls the canonical fields, so that a vendor format's refusals speak the client's language."""

from collections.abc import Mapping

from schemas.envelope import Surface
from schemas.failures import Failure

_CONFIG = "generationConfig"

FIELD_NAMES: Mapping[Surface, Mapping[str, str]] = {
    "openai.chat": {"max_output_tokens": "max_completion_tokens", "reasoning": "reasoning_effort"},
    "openai.responses": {"response_format": "text.format"},
    "anthropic.messages": {
        "max_output_tokens": "max_tokens",
        "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
        "reasoning": "thinking",
        "response_format": "output_config.format",
        "stop": "stop_sequences",
    },
    "gemini.generate": {
        "frequency_penalty": f"{_CONFIG}.frequencyPenalty",
        "max_output_tokens": f"{_CONFIG}.maxOutputTokens",
        "presence_penalty": f"{_CONFIG}.presencePenalty",
        "reasoning": f"{_CONFIG}.thinkingConfig",
        "response_format": f"{_CONFIG}.responseSchema",
        "seed": f"{_CONFIG}.seed",
        "stop": f"{_CONFIG}.stopSequences",
        "temperature": f"{_CONFIG}.temperature",
        "tool_choice": "toolConfig.functionCallingConfig",
        "top_k": f"{_CONFIG}.topK",
        "top_p": f"{_CONFIG}.topP",
    },
}


def in_clients_words(failure: Failure, names: Mapping[str, str]) -> Failure:
    """A wire's refusal (`wire.cannot_say`), with the field under the client's name for it."""
    name = names.get(failure.param or "")
    if name is None or failure.param is None:
        return failure
    text = failure.text.removeprefix(f"{failure.param}: ")
    return Failure(kind=failure.kind, message=f"{name}: {text}", param=name, code=failure.code, status=failure.status)
