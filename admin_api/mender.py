"""Looks now and then whether a deposed writer has written over something, and has it said once more."""

import asyncio

import structlog

from admin_api.changer import Changer
from admin_api.operation import Refusal
from runtime.kafka.fenced_table import Deposed
from runtime.lifecycle import Deadline, Supervisor, finish

log = structlog.get_logger(__name__)

MEND_EVERY_S = 60.0
"""Compaction leaves every record of the topic for days (TopicSpec.compaction_lag_ms)."""


class Mender:
    def __init__(self, changer: Changer, supervisor: Supervisor, every_s: float = MEND_EVERY_S) -> None:
        self._changer = changer
        self._supervisor = supervisor
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = self._supervisor.spawn(self._mend_for_ever(), "mend the configuration")

    async def stop(self, deadline: Deadline) -> None:
        await finish(self._task, 0)

    async def _mend_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self._changer.mend()
            except (Refusal, Deposed) as error:
                log.warning("the configuration could not be mended, trying again", error=repr(error))
