"""Which addresses alerts may be sent to. Pure."""

import ipaddress
from urllib.parse import urlsplit

from admin_api.operation import invalid


def check_webhook_address(url: str, *, plain_http: bool) -> None:
    """Raises Refusal. Alerts tell what somebody spends: without TLS only to the machine itself, unless the operator
    allows it (`plain_http`)."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port  # raises for one that is no port
    except ValueError:
        raise invalid("url", "This is not a valid URL.") from None
    if not host:
        raise invalid("url", "The URL names no host.")
    if parts.username is not None or parts.password is not None:
        raise invalid("url", "A URL with a user or password in it is not kept: alerts are signed, which is better.")
    if parts.scheme == "http" and not plain_http and not _is_loopback(host):
        raise invalid("url", "The URL must begin with https:// (http:// only to this machine itself).")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
