"""Asks a broker over the wire whether it is ready, in plain sockets.

Not with aiokafka: a script and a running event loop must both be able to wait for a broker, and aiokafka logs an
error for each try that comes too early.
"""

from __future__ import annotations

import socket
import struct

_METADATA_KEY, _METADATA_VERSION = 3, 1
_FIND_COORDINATOR_KEY, _FIND_COORDINATOR_VERSION = 10, 1
_NO_TOPICS = struct.pack(">i", 0)
_GROUP_COORDINATOR_TYPE = 0
_CLIENT_ID = b"tollhouse-probe"
_LARGEST_ANSWER_BYTES = 1 << 20


def why_not_ready(host: str, port: int, timeout_s: float) -> str | None:
    """None once clients can create topics, produce and join a group; else what is missing.

    Formats: the Kafka protocol's Metadata v1 and FindCoordinator v1. The second also makes the broker create its
    offsets topic, so that the first consumer does not meet "coordinator not available".
    """
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as connection:
            metadata = _ask(connection, _METADATA_KEY, _METADATA_VERSION, _NO_TOPICS)
            (broker_count,) = struct.unpack_from(">i", metadata)
            if broker_count < 1:
                return "it answers, but its broker is not registered yet"
            asked = _string(b"tollhouse-probe") + struct.pack(">b", _GROUP_COORDINATOR_TYPE)
            coordinator = _ask(connection, _FIND_COORDINATOR_KEY, _FIND_COORDINATOR_VERSION, asked)
            _throttle_ms, error_code = struct.unpack_from(">ih", coordinator)
            if error_code != 0:
                return f"its group coordinator is not available yet (Kafka error {error_code})"
    except (OSError, struct.error) as error:
        return f"it does not answer ({error})"
    return None


def _ask(connection: socket.socket, api_key: int, api_version: int, body: bytes) -> bytes:
    """Send one request; return the answer's body, after the correlation id."""
    request = struct.pack(">hhi", api_key, api_version, 0) + _string(_CLIENT_ID) + body
    connection.sendall(struct.pack(">i", len(request)) + request)
    (length,) = struct.unpack(">i", _receive(connection, 4))
    if not 4 <= length <= _LARGEST_ANSWER_BYTES:
        raise OSError("the answer is not Kafka's")
    return _receive(connection, length)[4:]


def _receive(connection: socket.socket, length: int) -> bytes:
    received = bytearray()
    while len(received) < length:
        piece = connection.recv(length - len(received))
        if not piece:
            raise OSError("the connection was closed")
        received += piece
    return bytes(received)


def _string(text: bytes) -> bytes:
    return struct.pack(">h", len(text)) + text
