"""Clients that go on asking while something is away, and what each of them was told."""

import json
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from http.client import HTTPException
from typing import Any, NamedTuple

from multidict import CIMultiDict

from tests.e2e.stack import Answer, Stack, eventually

MODELS = ("money-brisk", "money-paced", "money-fallback")


def chat(
    stack: Stack, secret: str, body: Mapping[str, Any], *, replica: int = 0, headers: Mapping[str, str] | None = None
) -> Answer:
    """One chat request, read to its end, whatever its status. Raises OSError, HTTPException."""
    request = urllib.request.Request(
        f"{stack.info['api_urls'][replica]}/v1/chat/completions",
        data=json.dumps(body).encode(),
        method="POST",
        headers={"Authorization": f"Bearer {secret}", "Content-Type": "application/json", **(headers or {})},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return Answer(answer.status, CIMultiDict(answer.headers.items()), answer.read().decode())
    except urllib.error.HTTPError as refused:
        return Answer(refused.code, CIMultiDict(refused.headers.items()), refused.read().decode())


def chat_insisting(stack: Stack, secret: str, body: Mapping[str, Any], **how: Any) -> Answer:
    """Until it is answered: while a budget's account is being opened, a slow machine may refuse for the moment."""

    def answered() -> Answer | None:
        answer = chat(stack, secret, body, **how)
        assert answer.status in (200, 429, 503), answer.text
        return answer if answer.status == 200 else None

    return eventually("an answer", answered)


class Told(NamedTuple):
    """`sent_s`, `answered_s`: by time.monotonic. `whole`: a stream came to its proper end; plain answers always do."""

    project: str
    replica: int
    sent_s: float
    answered_s: float
    answer: Answer
    whole: bool

    @property
    def passed(self) -> bool:
        return self.answer.status == 200

    @property
    def code(self) -> str:
        """Why it was refused: "503 budget_unverified"."""
        return f"{self.answer.status} {json.loads(self.answer.text)['error']['code']}"


class SteadyLoad:
    """One client for each project and replica. `secrets`: of a key of each project. In threads, so that a test may
    block."""

    def __init__(self, stack: Stack, secrets: Mapping[str, str], *, pause_s: float = 0.1, seed: int = 5) -> None:
        self._stack = stack
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._told: list[Told] = []
        self._errors: list[str] = []
        self._threads = [
            threading.Thread(
                target=self._run, args=(project, secret, replica, random.Random(f"{seed}/{project}/{replica}"))
            )
            for project, secret in secrets.items()
            for replica in range(len(stack.info["api_urls"]))
        ]

    def __enter__(self) -> "SteadyLoad":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def told(self) -> Sequence[Told]:
        """Up to now. No client may be left without an answer."""
        assert not self._errors, self._errors
        return tuple(self._told)

    def since(self, moment_s: float) -> list[Told]:
        """What was asked after a moment of time.monotonic."""
        return [told for told in self.told if told.sent_s > moment_s]

    def wait_for_each(self, what: str, found: Callable[[Told], bool], places: Iterable[tuple[str, int]]) -> None:
        """Until an answer is found to each of the clients, (project, replica), that was asked from now on."""
        from_s, missing = time.monotonic(), set(places)

        def all_found() -> bool:
            missing.difference_update((told.project, told.replica) for told in self.since(from_s) if found(told))
            return not missing

        eventually(what, all_found, within_s=90)

    def _run(self, project: str, secret: str, replica: int, generator: random.Random) -> None:
        while not self._stop.wait(self._pause_s):
            streaming = generator.random() < 0.5
            body = {
                "model": generator.choice(MODELS),
                "messages": [{"role": "user", "content": "word " * generator.randint(1, 40)}],
                "max_tokens": generator.randint(1, 60),
                "stream": streaming,
            }
            sent_s = time.monotonic()
            try:
                answer = chat(self._stack, secret, body, replica=replica)
            except (OSError, HTTPException) as error:
                self._errors.append(repr(error))
                return
            whole = not streaming or answer.status != 200 or answer.text.rstrip().endswith("data: [DONE]")
            self._told.append(Told(project, replica, sent_s, time.monotonic(), answer, whole))
