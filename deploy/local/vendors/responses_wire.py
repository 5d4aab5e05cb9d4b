"""OpenAI's POST /v1/responses on the wire: responses, the events of a stream in their order, errors.

Source: OpenAI's API reference, as mirrored in the response types of the official `openai` package (3.54). Every event
has a `sequence_number`, from 0; there is no `[DONE]`.
"""

from typing import Any

import msgspec
import orjson

from deploy.local.vendors.ask import Ask
from deploy.local.vendors.generation import Block, Plan
from deploy.local.vendors.openai_misfit import NOT_JSON, refusal_of
from deploy.local.vendors.openai_wire import check_bearer, error_envelope
from deploy.local.vendors.responses_conversation import encrypted, read_request, with_item_types
from deploy.local.vendors.responses_request import ResponsesRequest
from deploy.local.vendors.strict_body import Misfit, StrictReader
from deploy.local.vendors.wire import Endpoint, Incoming, Refused, Wire


def endpoints() -> tuple[Endpoint, ...]:
    return (Endpoint("POST", "/responses", ResponsesWire()),)


class _Peeked(msgspec.Struct):
    model: Any = None
    stream: Any = None


class ResponsesWire(Wire):
    stream_content_type = "text/event-stream; charset=utf-8"
    garbage_body = b'{"id":"resp_garbage","object":"response","output":[{"ty'
    garbage_events = (
        b'event: response.created\ndata: {"type":"resp\n\ndata: <html>Bad Gateway</html>\n\n\x00\xff\xfe x\n\n'
    )

    def __init__(self) -> None:
        self._reader = StrictReader(ResponsesRequest)

    def authorize(self, incoming: Incoming) -> None:
        check_bearer(incoming)

    def decode(self, incoming: Incoming) -> Ask:
        try:
            document = with_item_types(incoming.body)
        except ValueError:
            raise Refused(400, NOT_JSON) from None
        try:
            return read_request(self._reader.read_document(document))
        except Misfit as misfit:
            raise refusal_of(misfit) from None

    def peek(self, incoming: Incoming) -> tuple[str | None, bool | None]:
        try:
            seen = msgspec.json.decode(incoming.body, type=_Peeked)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None, None
        stream = seen.stream if isinstance(seen.stream, bool) else None
        return (seen.model if isinstance(seen.model, str) else None), stream

    def reply(self, answer_id: str, created: int, ask: Ask, plan: Plan, usage_sent: bool) -> bytes:
        return orjson.dumps(_Answer(answer_id, created, ask, plan, usage_sent).finished())

    def frames(self, answer_id: str, created: int, ask: Ask, plan: Plan, usage_sent: bool) -> "ResponsesFrames":
        return ResponsesFrames(_Answer(answer_id, created, ask, plan, usage_sent))

    def error_body(self, refused: Refused) -> bytes:
        return error_envelope(refused)


class _Answer:
    """The response and its items, in any state of being finished."""

    def __init__(self, answer_id: str, created: int, ask: Ask, plan: Plan, usage_sent: bool) -> None:
        self.answer_id = answer_id
        self.plan = plan
        self._created = created
        self._usage_sent = usage_sent
        self._request: ResponsesRequest = ask.extra
        self.reasons = ask.reasoning != "none"
        # A reasoning item comes first even where nothing of it is shown.
        self._shift = int(self.reasons and not plan.all_of("thinking"))

    def output_index(self, block: Block) -> int:
        return block.number + self._shift

    def item_id(self, block: Block) -> str:
        prefix = {"thinking": "rs", "text": "msg", "tool": "fc"}[block.kind]
        return f"{prefix}_{self.answer_id}_{self.output_index(block)}"

    def hidden_reasoning(self) -> dict[str, Any] | None:
        return self._reasoning_item(f"rs_{self.answer_id}_0", []) if self._shift else None

    def item(self, block: Block, done: bool) -> dict[str, Any]:
        item_id = self.item_id(block)
        text = self.plan.text_of(block) if done else ""
        status = "completed" if done and not self._is_cut(block) else "incomplete" if done else "in_progress"
        if block.kind == "thinking":
            return self._reasoning_item(item_id, [{"type": "summary_text", "text": text}] if done else [])
        if block.kind == "text":
            content = [text_part(text)] if done else []
            return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}
        return {
            "id": item_id,
            "type": "function_call",
            "status": status,
            "arguments": text,
            "call_id": f"call_{self.answer_id}_{block.call}",
            "name": block.tool_name,
        }

    def unfinished(self) -> dict[str, Any]:
        return self._response("in_progress", [], None)

    def finished(self) -> dict[str, Any]:
        hidden = self.hidden_reasoning()
        output = [hidden] if hidden is not None else []
        output += [self.item(block, done=True) for block in self.plan.blocks]
        cut = self.plan.finish_reason == "length"
        usage = _usage(self.plan) if self._usage_sent else None
        response = self._response("incomplete" if cut else "completed", output, usage)
        if cut:
            response["incomplete_details"] = {"reason": "max_output_tokens"}
        return response

    def failed(self, message: str) -> dict[str, Any]:
        return {**self._response("failed", [], None), "error": {"code": "server_error", "message": message}}

    def _is_cut(self, block: Block) -> bool:
        return self.plan.finish_reason == "length" and block.number == len(self.plan.blocks) - 1

    def _reasoning_item(self, item_id: str, summary: list[dict[str, Any]]) -> dict[str, Any]:
        item: dict[str, Any] = {"id": item_id, "type": "reasoning", "summary": summary}
        if "reasoning.encrypted_content" in (self._request.include or ()):
            item["encrypted_content"] = encrypted(item_id)
        return item

    def _response(self, status: str, output: list[dict[str, Any]], usage: dict[str, Any] | None) -> dict[str, Any]:
        request = self._request
        effort = request.reasoning.effort if request.reasoning is not None else None
        summary = request.reasoning.summary if request.reasoning is not None else None
        wanted = request.text.format if request.text is not None else None
        return {
            "id": f"resp_{self.answer_id}",
            "object": "response",
            "created_at": self._created,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": request.instructions,
            "max_output_tokens": request.max_output_tokens,
            "metadata": request.metadata or {},
            "model": request.model,
            "output": output,
            "parallel_tool_calls": request.parallel_tool_calls is not False,
            "previous_response_id": None,
            "reasoning": {"effort": effort, "summary": summary},
            "service_tier": "default",
            "store": request.store is not False,
            "temperature": 1.0 if request.temperature is None else request.temperature,
            "text": {"format": {"type": "text"} if wanted is None else msgspec.to_builtins(wanted)},
            "tool_choice": msgspec.to_builtins(request.tool_choice or "auto"),
            "tools": msgspec.to_builtins(request.tools or []),
            "top_p": 1.0 if request.top_p is None else request.top_p,
            "truncation": request.truncation or "disabled",
            "usage": usage,
            "user": request.user,
        }


class ResponsesFrames:
    """Events of one streamed response."""

    __slots__ = ("_answer", "_sequence_number")

    def __init__(self, answer: _Answer) -> None:
        self._answer = answer
        self._sequence_number = 0

    def opening(self) -> bytes:
        unfinished = self._answer.unfinished()
        events = self._event("response.created", response=unfinished)
        events += self._event("response.in_progress", response=unfinished)
        hidden = self._answer.hidden_reasoning()
        if hidden is not None:
            events += self._event("response.output_item.added", output_index=0, item=hidden)
            events += self._event("response.output_item.done", output_index=0, item=hidden)
        return events

    def piece(self, index: int) -> bytes:
        plan = self._answer.plan
        block = plan.block_at(index)
        output_index, item_id = self._answer.output_index(block), self._answer.item_id(block)
        at: dict[str, Any] = {"item_id": item_id, "output_index": output_index}
        events = b""
        if plan.starts_block(index):
            item = self._answer.item(block, done=False)
            events += self._event("response.output_item.added", output_index=output_index, item=item)
            if block.kind == "text":
                events += self._event("response.content_part.added", **at, content_index=0, part=text_part(""))
            elif block.kind == "thinking":
                part = {"type": "summary_text", "text": ""}
                events += self._event("response.reasoning_summary_part.added", **at, summary_index=0, part=part)
        delta = plan.pieces[index]
        match block.kind:
            case "text":
                events += self._event("response.output_text.delta", **at, content_index=0, delta=delta, logprobs=[])
            case "thinking":
                events += self._event("response.reasoning_summary_text.delta", **at, summary_index=0, delta=delta)
            case "tool":
                events += self._event("response.function_call_arguments.delta", **at, delta=delta)
        return events + self._end_of(block, at) if plan.ends_block(index) else events

    def closing(self) -> bytes:
        finished = self._answer.finished()
        return self._event(f"response.{finished['status']}", response=finished)

    def error(self, refused: Refused) -> bytes:
        if refused.status >= 500:
            return self._event("response.failed", response=self._answer.failed(refused.message))
        return self._event("error", code=refused.code, message=refused.message, param=refused.param)

    def _end_of(self, block: Block, at: dict[str, Any]) -> bytes:
        text = self._answer.plan.text_of(block)
        events = b""
        match block.kind:
            case "text":
                part = text_part(text)
                events += self._event("response.output_text.done", **at, content_index=0, text=text, logprobs=[])
                events += self._event("response.content_part.done", **at, content_index=0, part=part)
            case "thinking":
                part = {"type": "summary_text", "text": text}
                events += self._event("response.reasoning_summary_text.done", **at, summary_index=0, text=text)
                events += self._event("response.reasoning_summary_part.done", **at, summary_index=0, part=part)
            case "tool":
                name = block.tool_name
                events += self._event("response.function_call_arguments.done", **at, name=name, arguments=text)
        item = self._answer.item(block, done=True)
        return events + self._event("response.output_item.done", output_index=at["output_index"], item=item)

    def _event(self, kind: str, **fields: Any) -> bytes:
        data = orjson.dumps({"type": kind, "sequence_number": self._sequence_number, **fields})
        self._sequence_number += 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)


def text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _usage(plan: Plan) -> dict[str, Any]:
    return {
        "input_tokens": plan.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": plan.cached_tokens,
            "cache_write_tokens": plan.cache_write_tokens + plan.cache_write_1h_tokens,
        },
        "output_tokens": plan.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": plan.reasoning_tokens},
        "total_tokens": plan.prompt_tokens + plan.completion_tokens,
    }
