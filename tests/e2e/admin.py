"""The admin API of a running stack, called plainly."""

import json
import urllib.error
import urllib.request
from typing import Any

from tests.e2e.stack import Stack, eventually


class AdminRefused(Exception):
    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status


def admin(stack: Stack, method: str, path: str, body: Any = None) -> Any:
    """`path` below /admin/v1. Raises AdminRefused, OSError."""
    request = urllib.request.Request(
        f"{stack.info['admin_url']}/admin/v1{path}",
        data=None if body is None else json.dumps(body).encode(),
        method=method,
        headers={"Authorization": f"Bearer {stack.info['management_key']}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as refused:
        raise AdminRefused(refused.code, refused.read().decode(errors="replace")) from None


def admin_insisting(stack: Stack, method: str, path: str, body: Any = None) -> Any:
    """The admin API may have been killed just now."""

    def once() -> tuple[Any] | None:
        try:
            return (admin(stack, method, path, body),)
        except OSError:
            return None

    [found] = eventually(f"{method} {path}", once, within_s=60)
    return found
