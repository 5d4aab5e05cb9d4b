"""Tool calls and their results must fit together, however the client spreads them over messages."""

import pytest

from router_worker.canonical.conversation import misfit
from router_worker.canonical.request import AssistantMessage, Message, Text, ToolCall, ToolResult, UserMessage

HI = UserMessage(parts=(Text(text="hi"),))


def says(*call_ids: str) -> AssistantMessage:
    return AssistantMessage(
        parts=(Text(text="x"), *(ToolCall(call_id=each, name="f", arguments="{}") for each in call_ids))
    )


def answers(*call_ids: str) -> UserMessage:
    return UserMessage(parts=tuple(ToolResult(call_id=each, name="f", parts=()) for each in call_ids))


@pytest.mark.parametrize(
    "messages",
    [
        (),
        (HI,),
        (HI, says(), HI),
        (says(),),
        (HI, says("a", "b"), answers("b", "a")),
        (HI, says("a"), says("b"), answers("b"), HI, answers("a"), says()),
        (HI, says("a"), answers("a"), says("a"), answers("a")),
    ],
)
def test_what_fits(messages: tuple[Message, ...]) -> None:
    assert misfit(messages) is None


@pytest.mark.parametrize(
    ("messages", "what"),
    [
        ((HI, says("a")), "'a' has no result"),
        ((HI, says("a"), HI, answers("b")), "'a' has no result right after it"),
        ((HI, says("a", "b"), answers("a")), "'b' has no result right after it"),
        ((HI, says("a"), HI, says("b"), answers("a", "b")), "'a' has no result right after it"),
        ((answers("a"),), "'a' is answered, but not called before"),
        ((HI, says("a"), answers("a"), says(), answers("a")), "'a' is answered, but not called before"),
        ((HI, says("a", "a"), answers("a")), "'a' stands at two calls of the same turn"),
        ((HI, says("a"), says("a"), answers("a")), "'a' stands at two calls of the same turn"),
        ((HI, says("a"), answers("a", "a")), "'a' has more than one result"),
    ],
)
def test_what_no_vendor_would_take(messages: tuple[Message, ...], what: str) -> None:
    failure = misfit(messages)
    assert failure is not None
    assert failure.http_status == 400
    assert what in failure.text


def test_a_long_id_is_not_repeated_whole() -> None:
    failure = misfit((HI, says("x" * 10_000)))
    assert failure is not None
    assert len(failure.text) < 200
