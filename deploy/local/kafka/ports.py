"""Loopback ports for a server that other processes will keep reconnecting to."""

from __future__ import annotations

import random
import socket
from pathlib import Path

from deploy.local.kafka.errors import PortInUse

_EPHEMERAL_RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_EPHEMERAL_START_DEFAULT = 32768
_LOWEST_PORT = 15000
_ATTEMPTS = 200


def require_free(host: str, port: int) -> None:
    """Raise `PortInUse` unless a server could listen on this port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Java servers set it too: connections of the server's last run, still in TIME_WAIT, are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortInUse(host, port) from error


def free_ports(count: int, host: str) -> list[int]:
    """`count` different ports, free now, below the range that the kernel hands out to clients.

    Ports from that range (what binding port 0 gives) would be a trap for a server that goes away and comes
    back: a client that reconnects to the dead port can be given that very port as its own, connects to
    itself, and holds the port for ever.
    """
    candidates = range(_LOWEST_PORT, max(_ephemeral_start(), _LOWEST_PORT + 1000))
    found: list[int] = []
    for port in random.sample(candidates, min(_ATTEMPTS, len(candidates))):
        try:
            require_free(host, port)
        except PortInUse:
            continue
        found.append(port)
        if len(found) == count:
            return found
    raise OSError(f"no {count} free ports on {host} between {candidates.start} and {candidates.stop}")


def _ephemeral_start() -> int:
    try:
        return int(_EPHEMERAL_RANGE_FILE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _EPHEMERAL_START_DEFAULT
