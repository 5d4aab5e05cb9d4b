"""Broken bodies as HTTP requests, for a gateway whose vendors are the simulator, and what each answer must be."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from router_worker.vendors.table import BUILT_IN
from router_worker.ways import ways_of
from schemas.envelope import Surface
from tests.fuzz.client_formats import check_answer, check_error_body, check_stream, strict_json
from tests.fuzz.mutations import BYTE_KINDS, KINDS, VALUES, Cut, dump, mutated, mutated_bytes
from tests.fuzz.worker_ways import SAMPLES

DEADLINE_S = 10.0
AT_A_TIME = 16
_PATHS: Mapping[Surface, str] = {
    "openai.chat": "/v1/chat/completions",
    "openai.responses": "/v1/responses",
    "openai.embeddings": "/v1/embeddings",
    "anthropic.messages": "/v1/messages",
    "anthropic.count_tokens": "/v1/messages/count_tokens",
}


@dataclass(frozen=True)
class Sent:
    surface: Surface
    vendor: str
    path: str
    body: bytes
    cuts: tuple[Cut, ...]


@dataclass(frozen=True)
class Got:
    sent: Sent
    status: int
    request_id: str
    content_type: str
    body: bytes


def broken_bodies(
    count: int, seed: int, chat_models: Mapping[str, str], embedding_models: Mapping[str, str]
) -> list[Sent]:
    """The same for the same seed. The models are those of the catalogue, by the vendor that is to be asked."""
    chance = random.Random(seed)
    found: list[Sent] = []
    while len(found) < count:
        surface = chance.choice(list(SAMPLES))
        models = embedding_models if surface == "openai.embeddings" else chat_models
        vendor = chance.choice(list(models))
        if surface not in ways_of(BUILT_IN[vendor]):
            continue
        found.append(_broken(chance, surface, vendor, models[vendor]))
    return found


def _broken(chance: random.Random, surface: Surface, vendor: str, model: str) -> Sent:
    sample: dict[str, Any] = {**chance.choice(SAMPLES[surface]), "vendor": vendor}
    for name in ("vendors", "models", "project_id"):
        sample.pop(name, None)
    path = f"/v1beta/models/{model}:generateContent"
    if surface == "gemini.generate":
        if chance.random() < 0.5:
            path = f"/v1beta/models/{model}:streamGenerateContent?alt=sse"
    else:
        path, sample["model"] = _PATHS[surface], model
    cuts = tuple(
        Cut(chance.choice(KINDS), chance.randrange(400), chance.randrange(len(VALUES) * 3))
        for _ in range(chance.choice((0, 1, 1, 1, 2)))
    )
    body = dump(mutated(sample, cuts))
    if chance.random() < 0.15:
        cuts = (*cuts, Cut(chance.choice(BYTE_KINDS), chance.randrange(4000), chance.randrange(256)))
        body = mutated_bytes(body, cuts[-1:])
    return Sent(surface, vendor, path, body, cuts)


async def send_all(url: str, api_key: str, bodies: Sequence[Sent]) -> list[Got]:
    """Raises TimeoutError for one that gets no whole answer within the deadline."""
    headers = {"Authorization": f"Bearer {api_key}", "Content-Type": "application/json"}
    at_once = asyncio.Semaphore(AT_A_TIME)
    async with aiohttp.ClientSession(url, headers=headers) as session:

        async def send(sent: Sent) -> Got:
            async with at_once, asyncio.timeout(DEADLINE_S), session.post(sent.path, data=sent.body) as response:
                body = await response.read()
                request_id = response.headers["X-Request-Id"]
                return Got(sent, response.status, request_id, response.content_type, body)

        return list(await asyncio.gather(*map(send, bodies)))


def judged(got: Got, vendor_calls: Sequence[Any]) -> str | None:
    """`vendor_calls`: what the simulator's ledger has of this request. What is wrong, in a line."""
    seen = f"{got.sent.surface} to {got.sent.vendor}: {got.status} {got.body[:300]!r} for {got.sent.cuts}"
    try:
        return _judged(got, vendor_calls, seen)
    except (AssertionError, LookupError, ValueError) as error:
        return f"{error!r}: {seen}"


def _judged(got: Got, vendor_calls: Sequence[Any], seen: str) -> str | None:
    if got.status >= 500:
        return f"not the client's fault? {seen}"
    if got.status >= 400:
        if vendor_calls and _is_translated(got, vendor_calls) and not _only_the_vendor_knows(got):
            return f"let through what the vendor refuses: {seen}"
        param = _param(got)
        check_error_body(got.sent.surface, got.body, got.status, param)
        return None
    if got.status != 200:
        return f"neither an answer nor an error: {seen}"
    if len(vendor_calls) != 1:
        return f"{len(vendor_calls)} calls: {seen}"
    translated = _is_translated(got, vendor_calls)
    if got.content_type == "text/event-stream":
        # At its end may stand the routing metadata, as a comment.
        data = b"".join(part + b"\n\n" for part in got.body.split(b"\n\n") if part and not part.startswith(b":"))
        check_stream(got.sent.surface, data, complete=True, translated=translated)
    else:
        check_answer(got.sent.surface, got.body, translated=translated)
    return None


def _is_translated(got: Got, vendor_calls: Sequence[Any]) -> bool:
    """By the vendor that was really called: the change may have been one of the field that asks for it."""
    return ways_of(BUILT_IN[vendor_calls[0]["vendor"]])[got.sent.surface].translated


def _only_the_vendor_knows(got: Got) -> bool:
    """Whether a signature of an earlier turn is its own, and which of JSON schema it has in its own dialect: a client's
    schema is passed on as it is. (What is not translated at all is the vendor's to judge anyway.)"""
    return b"signature" in got.body or b"schema" in got.body


def _param(got: Got) -> str | None:
    """As the body itself says: over HTTP nothing else is known of it."""
    error = strict_json(got.body)["error"]
    if got.sent.surface == "gemini.generate":
        return next((v["field"] for d in error["details"] for v in d.get("fieldViolations", ())), None)
    param: str | None = error.get("param")
    return param
