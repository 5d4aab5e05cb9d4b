"""`additionalModelRequestFields`: what a model family takes beside Converse's own parameters.

Sources: Amazon's user guide of Bedrock on extended thinking of Claude, and of Nova 2's reasoning. That Claude thinks
beside a forced tool only from 4.8 on, and only adaptively, is what langchain-aws found (its pull requests 1141, 1151).
"""

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from deploy.local.vendors.bedrock_request import ConverseRequest
from deploy.local.vendors.strict_body import Misfit, StrictReader
from deploy.local.vendors.wire import Refused

_FIELDS = "additionalModelRequestFields"
_CLAUDE = re.compile(r"claude-[a-z]+-(?P<major>\d)(?:-(?P<minor>\d{1,2})(?!\d))?")


class _Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    pass


class ThinkingEnabled(_Strict, tag_field="type", tag="enabled"):
    budget_tokens: Annotated[int, Meta(ge=1024)]


class ThinkingAdaptive(_Strict, tag_field="type", tag="adaptive"):
    display: Literal["summarized", "omitted"] | UnsetType = UNSET


class ThinkingDisabled(_Strict, tag_field="type", tag="disabled"):
    pass


class Effort(_Strict):
    effort: Literal["low", "medium", "high", "xhigh", "max"]


class OwnToolChoice(_Strict):
    """Anthropic's own, which knows more than Converse's `toolChoice`."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | UnsetType = UNSET
    disable_parallel_tool_use: bool | UnsetType = UNSET

    def __post_init__(self) -> None:
        if (self.type == "tool") is (self.name is UNSET):
            raise ValueError("name goes with the type tool alone")


class ClaudeFields(_Strict):
    tool_choice: OwnToolChoice | UnsetType = UNSET
    thinking: ThinkingEnabled | ThinkingAdaptive | ThinkingDisabled | UnsetType = UNSET
    output_config: Effort | UnsetType = UNSET
    anthropic_beta: list[str] | UnsetType = UNSET
    top_k: Annotated[int, Meta(ge=0, le=500)] | UnsetType = UNSET


class NovaReasoning(_Strict, rename="camel"):
    type: Literal["enabled", "disabled"]
    max_reasoning_effort: Literal["low", "medium", "high"] | UnsetType = UNSET


class NovaSampling(_Strict, rename="camel"):
    top_k: Annotated[int, Meta(ge=0, le=128)] | UnsetType = UNSET


class NovaFields(_Strict, rename="camel"):
    reasoning_config: NovaReasoning | UnsetType = UNSET
    inference_config: NovaSampling | UnsetType = UNSET


class CommandFields(_Strict):
    k: Annotated[int, Meta(ge=0, le=500)] | UnsetType = UNSET
    seed: int | UnsetType = UNSET
    frequency_penalty: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    presence_penalty: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET


class AnyFields(ClaudeFields, kw_only=True, forbid_unknown_fields=False):
    """Of a model whose maker its name does not tell: what is known of is checked, what is not known is taken."""

    reasoning_config: NovaReasoning | UnsetType = msgspec.field(name="reasoningConfig", default=UNSET)
    inference_config: NovaSampling | UnsetType = msgspec.field(name="inferenceConfig", default=UNSET)


class Wishes(msgspec.Struct, frozen=True):
    """`budget`: of the reasoning, in tokens."""

    reasons: bool = False
    budget: int | None = None
    tool_choice: OwnToolChoice | None = None


def check_model_fields(model: str, request: ConverseRequest, fields: dict[str, Any]) -> Wishes:
    """Raises Refused."""
    try:
        read_fields = StrictReader(_fields_type(model)).read_document(fields)
    except Misfit as misfit:
        place = f"{_FIELDS}.{misfit.dotted()}"
        raise Refused(400, f"Malformed input request: {misfit.what} at {place}.", param=place) from None
    wishes = Wishes()
    if isinstance(read_fields, ClaudeFields):
        choice = None if read_fields.tool_choice is UNSET else read_fields.tool_choice
        if choice is not None:
            _check_tool_choice(request, choice)
        wishes = Wishes(tool_choice=choice)
        thinking = read_fields.thinking
        if isinstance(thinking, ThinkingEnabled | ThinkingAdaptive):
            return Wishes(True, _check_claude(model, request, read_fields, thinking), choice)
    if isinstance(read_fields, NovaFields | AnyFields) and read_fields.reasoning_config is not UNSET:
        return Wishes(_check_nova(request, read_fields.reasoning_config), None, wishes.tool_choice)
    return wishes


def _fields_type(model: str) -> type[msgspec.Struct]:
    if "anthropic." in model:
        return ClaudeFields
    if "amazon.nova" in model:
        return NovaFields
    return CommandFields if "cohere.command" in model else AnyFields


def _check_tool_choice(request: ConverseRequest, choice: OwnToolChoice) -> None:
    place = f"{_FIELDS}.tool_choice"
    config = request.tool_config
    if config is UNSET:
        raise Refused(400, f"tool_choice may only be specified while providing tools at {place}.", param=place)
    if config.tool_choice is not UNSET:
        raise Refused(400, f"toolConfig.toolChoice is given as well at {place}.", param=place)
    names = [tool.tool_spec.name for tool in config.tools if tool.tool_spec is not UNSET]
    if choice.name is not UNSET and choice.name not in names:
        raise Refused(400, f"Tool '{choice.name}' not found in provided tools at {place}.", param=f"{place}.name")


def _check_claude(
    model: str, request: ConverseRequest, fields: ClaudeFields, thinking: ThinkingEnabled | ThinkingAdaptive
) -> int | None:
    config, place = request.inference_config, f"{_FIELDS}.thinking"
    if config is not UNSET and config.temperature not in (UNSET, 1):
        raise Refused(400, f"temperature may only be set to 1 when thinking is enabled at {place}.", param=place)
    if fields.top_k is not UNSET:
        raise Refused(400, f"top_k must be unset when thinking is enabled at {place}.", param=place)
    choice = request.tool_config.tool_choice if request.tool_config is not UNSET else UNSET
    forced = choice is not UNSET and choice.auto is UNSET
    forced = forced or (fields.tool_choice is not UNSET and fields.tool_choice.type in ("any", "tool"))
    if forced and (isinstance(thinking, ThinkingEnabled) or not _thinks_before_forced_tools(model)):
        raise Refused(400, f"Thinking may not be enabled when toolChoice forces tool use at {place}.", param=place)
    if isinstance(thinking, ThinkingAdaptive):
        return None
    if config is not UNSET and config.max_tokens is not UNSET and config.max_tokens <= thinking.budget_tokens:
        message = f"max_tokens must be greater than thinking.budget_tokens at {place}.budget_tokens."
        raise Refused(400, message, param=f"{place}.budget_tokens")
    return thinking.budget_tokens


def _thinks_before_forced_tools(model: str) -> bool:
    found = _CLAUDE.search(model)
    return found is not None and (int(found["major"]), int(found["minor"] or 0)) >= (4, 8)


def _check_nova(request: ConverseRequest, reasoning: NovaReasoning) -> bool:
    place = f"{_FIELDS}.reasoningConfig"
    if reasoning.type == "disabled":
        return False
    if reasoning.max_reasoning_effort is UNSET:
        raise Refused(400, f"maxReasoningEffort is required at {place}.", param=f"{place}.maxReasoningEffort")
    config = request.inference_config
    if reasoning.max_reasoning_effort == "high" and config is not UNSET:
        given = [name for name in ("max_tokens", "temperature", "top_p") if getattr(config, name) is not UNSET]
        if given:
            message = f"inferenceConfig.{given[0]} must be unset with a maxReasoningEffort of high at {place}."
            raise Refused(400, message, param=place)
    return True
