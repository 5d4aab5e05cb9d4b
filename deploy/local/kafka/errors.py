"""What can go wrong before Kafka answers; both are one line that a person can act on."""

from __future__ import annotations


class KafkaUnavailable(Exception):
    """This kind of Kafka cannot be had on this machine (no Java, no jars, no package): another kind may do."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class KafkaStartFailed(Exception):
    """Kafka is here but did not come up, or its port is taken: another kind would not help."""


class PortInUse(KafkaStartFailed):
    """A port that Kafka should listen on is held by another program."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"port {port} on {host} is in use by another program")
        self.host = host
        self.port = port
