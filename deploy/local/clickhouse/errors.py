"""The one error a client sees: ClickHouse's code, name and text, and the HTTP status that goes with it."""

from __future__ import annotations

import re

# ClickHouse's error codes that this server raises by itself. The engine's own codes pass through as they are.
UNKNOWN_FORMAT = (73, "UNKNOWN_FORMAT")
BAD_ARGUMENTS = (36, "BAD_ARGUMENTS")
NOT_IMPLEMENTED = (48, "NOT_IMPLEMENTED")
SYNTAX_ERROR = (62, "SYNTAX_ERROR")
UNKNOWN_COMPRESSION_METHOD = (89, "UNKNOWN_COMPRESSION_METHOD")
UNKNOWN_SETTING = (115, "UNKNOWN_SETTING")
READONLY = (164, "READONLY")
QUERY_IS_TOO_LARGE = (229, "QUERY_IS_TOO_LARGE")
CANNOT_DECOMPRESS = (271, "CANNOT_DECOMPRESS")
SESSION_NOT_FOUND = (372, "SESSION_NOT_FOUND")
SESSION_IS_LOCKED = (373, "SESSION_IS_LOCKED")
INVALID_SESSION_TIMEOUT = (374, "INVALID_SESSION_TIMEOUT")
AUTHENTICATION_FAILED = (516, "AUTHENTICATION_FAILED")
STD_EXCEPTION = (1001, "STD_EXCEPTION")

# Which codes get which status: ClickHouse's src/Server/HTTP/exceptionCodeToHTTPStatus.cpp. All others are 500.
# Only CANNOT_DECOMPRESS (271) and UNKNOWN_COMPRESSION_METHOD (89) differ: the client's mistake, hence 400.
# fmt: off
_CODES_BY_STATUS: dict[int, tuple[int, ...]] = {
    400: (
        6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 89, 117, 123, 167, 168, 223, 271, 321, 376, 427, 441,
        675, 676,
    ),
    401: (194,),
    403: (192, 193, 497, 512, 516),
    404: (46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511),
    408: (159,),
    411: (381,),
    413: (229,),
    501: (48,),
    503: (76, 209, 439),
}
# fmt: on
_STATUS_BY_CODE = {code: status for status, codes in _CODES_BY_STATUS.items() for code in codes}

_ENGINE_CODE = re.compile(r"Code: (\d+)\. DB::Exception: ")


class ClickHouseError(Exception):
    """`code` is ClickHouse's number; `str()` is the whole message in ClickHouse's own shape."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def http_status(self) -> int:
        return _STATUS_BY_CODE.get(self.code, 500)


class EngineUnavailableError(Exception):
    """The data directory cannot be opened; `str()` is one line for a person."""


def refuse(kind: tuple[int, str], text: str) -> ClickHouseError:
    """An error of ours, e.g. `refuse(SYNTAX_ERROR, "Empty query")`."""
    code, name = kind
    return ClickHouseError(code, f"Code: {code}. DB::Exception: {text}. ({name})")


def from_engine(message: str) -> ClickHouseError:
    """The engine's message, freed of what chdb puts before it; without a code in it, code 1001."""
    found = _ENGINE_CODE.search(message)
    if found is None:
        return refuse(STD_EXCEPTION, message.rstrip(". "))
    return ClickHouseError(int(found[1]), message[found.start() :].rstrip())
