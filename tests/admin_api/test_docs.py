"""The examples of docs/admin-api.md do what the page says."""

import asyncio
import os
import re
import shutil
from pathlib import Path

import pytest

from schemas.tenancy import ApiKey
from tests.admin_api.admin_server import ROOT_KEY, admin_server

PAGE = Path(__file__).parents[2] / "docs/admin-api.md"


def test_the_examples_of_the_page_work() -> None:
    if shutil.which("curl") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI must have curl: the page's examples are its commands")
        pytest.skip("there is no curl")
    examples = re.search(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert examples is not None
    with admin_server(organizations=False) as server:

        async def run() -> tuple[int, str]:
            process = await asyncio.create_subprocess_exec(
                "bash",
                "-e",
                "-c",
                examples[1],
                env={"ADMIN": f"{server.api.url}/admin/v1", "KEY": ROOT_KEY, "PATH": "/usr/bin:/bin"},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            said, _ = await process.communicate()
            return process.returncode or 0, said.decode()

        code, said = server.run(run())
        assert code == 0, said
        assert '"error"' not in said
        key = server.replica.state.get(ApiKey, "backend")
        assert key is not None
        assert key.revoked
