"""Who asks: the three ways in which ClickHouse's HTTP interface takes a user and a password."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from deploy.local.clickhouse.errors import AUTHENTICATION_FAILED, refuse


@dataclass(frozen=True, slots=True)
class Account:
    """The one account of this server."""

    user: str
    password: str = field(repr=False)

    def check(self, headers: Mapping[str, str], fields: Mapping[str, str]) -> None:
        """Accept `X-ClickHouse-User`/`-Key`, HTTP Basic, or `user`/`password` in the URL, in this order.

        Raises:
            ClickHouseError: AUTHENTICATION_FAILED, in the same words whether the user or the password is wrong.
        """
        user, password = _credentials(headers, fields)
        # Both are compared in constant time and in full, so that the time taken tells nothing about either.
        user_matches = hmac.compare_digest(_as_bytes(user), _as_bytes(self.user))
        password_matches = hmac.compare_digest(_as_bytes(password), _as_bytes(self.password))
        if not (user_matches and password_matches):
            raise refuse(
                AUTHENTICATION_FAILED,
                f"{user}: Authentication failed: password is incorrect, or there is no user with such name",
            )


def _as_bytes(text: str) -> bytes:
    # aiohttp gives header bytes that are not UTF-8 as lone surrogates, which a strict encode would trip over.
    return text.encode("utf-8", "surrogateescape")


def _credentials(headers: Mapping[str, str], fields: Mapping[str, str]) -> tuple[str, str]:
    if "X-ClickHouse-User" in headers:
        return headers["X-ClickHouse-User"], headers.get("X-ClickHouse-Key", "")
    scheme, _, value = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise refuse(AUTHENTICATION_FAILED, "Invalid authentication: the Basic header is malformed") from error
        return user, password
    if scheme:
        raise refuse(AUTHENTICATION_FAILED, "Invalid authentication: only the HTTP Basic scheme is supported")
    return fields.get("user", "default"), fields.get("password", "")
