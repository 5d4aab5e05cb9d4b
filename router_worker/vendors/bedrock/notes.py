"""What comes up while a Converse request is written: refusals, hints left out, and the cache points still to be had."""

from collections.abc import Iterator
from typing import Any, Literal

from router_worker.canonical.request import ChatRequest, Ttl
from router_worker.vendors.bedrock.models import ModelTraits
from router_worker.vendors.wire import cannot_say
from schemas.failures import Failure

Block = dict[str, Any]
Place = Literal["tools", "system", "messages"]

MAX_CACHE_POINTS = 4


class CannotSay(Exception):
    """Carries the Failure from wherever it was found up to `build`."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(field)
        self.failure: Failure = cannot_say(field, why)


class Notes:
    """Must be shown the cache marks in the order of the prompt (tools, system, messages): of more than four, the last
    four count, because they reach furthest."""

    def __init__(self, request: ChatRequest, traits: ModelTraits) -> None:
        self._traits = traits
        self._dropped: dict[str, None] = {}
        places = [place for place in _marked_places(request) if place in traits.caches]
        self._marks_to_skip = max(0, len(places) - MAX_CACHE_POINTS)

    @property
    def dropped(self) -> tuple[str, ...]:
        """Besides those that the request itself names."""
        return tuple(self._dropped)

    def drop(self, name: str) -> None:
        self._dropped[name] = None

    def cache(self, blocks: list[Block], ttl: Ttl | None, place: Place) -> None:
        """Puts a cache point after what stands in `blocks`, if `ttl` asks for it and the model knows such a thing."""
        if ttl is None:
            return
        if place not in self._traits.caches:
            self.drop("cache_control")
            return
        if self._marks_to_skip:
            self._marks_to_skip -= 1
            self.drop("cache_control")
            return
        if not blocks or "cachePoint" in blocks[-1]:
            return
        point = {"type": "default"}
        if ttl == "1h" and self._traits.hour_cache:
            point["ttl"] = ttl
        elif ttl == "1h":
            self.drop("cache_ttl")
        blocks.append({"cachePoint": point})


def _marked_places(request: ChatRequest) -> Iterator[Place]:
    for tool in request.tools:
        if tool.cache is not None:
            yield "tools"
    for text in request.system:
        if text.cache is not None:
            yield "system"
    for message in request.messages:
        for part in message.parts:
            if mark_of(part) is not None:
                yield "messages"


def mark_of(part: object) -> Ttl | None:
    """A mark inside a tool's result counts for the whole result: Converse takes none in there."""
    own: Ttl | None = getattr(part, "cache", None)
    if own is not None:
        return own
    return next((inner.cache for inner in reversed(getattr(part, "parts", ())) if inner.cache is not None), None)
