"""Waiting for what another task or the other end of a socket will do."""

import asyncio
from collections.abc import Callable

DEADLINE_S = 5.0


async def until(condition: Callable[[], object]) -> None:
    """Returns once the condition holds. Raises TimeoutError, so that a test fails instead of hanging."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - conditions are about anything, there is no event for them
            await asyncio.sleep(0.002)
