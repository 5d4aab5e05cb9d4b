"""Calls the admin API: one connection a call, no redirects and no proxies, so that the key goes nowhere else."""

import http.client
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from admin_api.operation import BASE_PATH

TIMEOUT_S = 60.0
JSON = "application/json"


class AdminRefused(Exception):
    """The API's own answer. `param`: the field at fault, if it names one."""

    def __init__(self, status: int, message: str, param: str | None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param


class AdminAway(Exception):
    """Nobody answers at the address, or something that is not the admin API does."""


class AdminAnswer(NamedTuple):
    """`data`: JSON, decoded; None where the answer is something else."""

    data: Any
    text: str


class _Problem(msgspec.Struct):
    message: str
    param: str | None = None


class _ErrorBody(msgspec.Struct):
    error: _Problem


class AdminClient:
    """`url`: of the API without its base path: "http://127.0.0.1:8081". Raises ValueError if it is none."""

    def __init__(self, url: str, management_key: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"'{url}' is not an address like http://127.0.0.1:8081")
        self._url = url
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._base = parts.path.rstrip("/") + BASE_PATH
        self._key = management_key

    def call(self, method: str, path: str, query: Mapping[str, str], body: Any = None) -> AdminAnswer:
        """`path`: after the base, its variables filled in by `filled`. Raises AdminRefused, AdminAway."""
        target = self._base + path + (f"?{urlencode(query)}" if query else "")
        headers = {"Authorization": f"Bearer {self._key}", "Accept": "*/*"}
        data = None
        if body is not None:
            data = msgspec.json.encode(body)
            headers["Content-Type"] = JSON
        try:
            status, content_type, answer = self._exchange(method, target, data, headers)
        except (OSError, http.client.HTTPException) as error:
            raise AdminAway(f"no admin API answers at {self._url}: {str(error) or type(error).__name__}") from error
        text = answer.decode(errors="replace")
        if status >= 300:
            raise self._refusal(status, answer)
        return AdminAnswer(_decoded(answer) if content_type.startswith(JSON) else None, text)

    def _exchange(
        self, method: str, target: str, data: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, str, bytes]:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=TIMEOUT_S)
        try:
            connection.request(method, target, body=data, headers=dict(headers))
            response = connection.getresponse()
            return response.status, response.headers.get("Content-Type", ""), response.read()
        finally:
            connection.close()

    def _refusal(self, status: int, answer: bytes) -> Exception:
        try:
            problem = msgspec.json.decode(answer, type=_ErrorBody).error
        except (msgspec.DecodeError, UnicodeDecodeError):
            return AdminAway(f"what answers at {self._url} is not the admin API: HTTP {status}")
        return AdminRefused(status, problem.message, problem.param)


def filled(path: str, values: Mapping[str, str]) -> str:
    """A path with its variables: "/keys/{api_key_id}". Ids may hold any character."""
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    return path


def _decoded(answer: bytes) -> Any:
    try:
        return msgspec.json.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AdminAway("the answer is not JSON, although it says so") from error
