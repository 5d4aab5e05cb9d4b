"""Whether a conversation's tool calls and results fit together. No vendor takes one in which they do not, so the client
is told before a call is wasted. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence

from router_worker.canonical.request import AssistantMessage, Message, ToolCall, ToolResult
from schemas.failures import Failure, FailureKind


def misfit(messages: Sequence[Message]) -> Failure | None:
    """Every call must have one result, in what the user says right after it, and every result such a call. Ids may
    come again in a later turn. Neighbouring messages of one role count as one."""
    called: list[str] = []
    for calls, results in _turns(messages):
        if results is not None:
            problem = _unpaired(called, results)
            if problem is not None:
                return problem
            called = []
        elif calls:
            called = calls
            if len(set(called)) < len(called):
                return _wrong(called, Counter(called), "stands at two calls of the same turn")
    return None if not called else _wrong(called, Counter(), "has no result")


def _turns(messages: Sequence[Message]) -> Iterator[tuple[list[str], list[str] | None]]:
    """Of each turn the ids of its calls, and those of its results, which are None for an assistant's."""
    ids: list[str] = []
    of_assistant: bool | None = None
    for message in messages:
        if of_assistant is not None and isinstance(message, AssistantMessage) != of_assistant:
            yield (ids, None) if of_assistant else ([], ids)
            ids = []
        of_assistant = isinstance(message, AssistantMessage)
        ids += [part.call_id for part in message.parts if isinstance(part, ToolCall | ToolResult)]
    if of_assistant is not None:
        yield (ids, None) if of_assistant else ([], ids)


def _unpaired(called: list[str], results: list[str]) -> Failure | None:
    answered = Counter(results)
    if any(call_id not in answered for call_id in called):
        return _wrong([each for each in called if each not in answered], Counter(), "has no result right after it")
    known = set(called)
    if any(call_id not in known for call_id in results):
        return _wrong([each for each in results if each not in known], Counter(), "is answered, but not called before")
    if len(answered) < len(results):
        return _wrong(results, answered, "has more than one result")
    return None


def _wrong(call_ids: list[str], count: Counter[str], what: str) -> Failure:
    """Names the first id that comes more than once in `count`, or else the first of all."""
    found = next((call_id for call_id in call_ids if count[call_id] > 1), call_ids[0])
    return Failure(
        kind=FailureKind.INVALID_REQUEST, message=f"tool calls: the id '{found[:64]}' {what}", param="tool calls"
    )
