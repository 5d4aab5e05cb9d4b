"""Apache Kafka as one KRaft process (broker and controller), tuned for one small machine and a quick start."""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from deploy.local.kafka.errors import KafkaStartFailed, PortInUse
from deploy.local.kafka.jars import KafkaInstall
from deploy.local.kafka.ports import free_ports
from deploy.local.kafka.process import KafkaHandle, Launch

_LOG_CONFIG = Path(__file__).with_name("log4j2.xml")
_FORMAT_LIMIT_S = 60.0
_START_ATTEMPTS = 3

# Serial: on two cores and a small heap its pauses are short, and it leaves the cores to the services.
_JVM_OPTIONS = (
    "-Xmx256m",
    "-XX:+UseSerialGC",
    # The quick compiler only. Over the first 240,000 records it took 6 s of CPU where the full one took 11, most of
    # them for compiling; a broker that lives for hours under load would be served better by the full one.
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
)

_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    # Topics are made by an explicit step, never by a misspelt name.
    "auto.create.topics.enable": "false",
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    # The default waits 3 s for further members before a new group's first assignment.
    "group.initial.rebalance.delay.ms": "0",
    # Lets a test ask for a session short enough to see a dead member dropped.
    "group.min.session.timeout.ms": "1000",
    # Topics here are kept for minutes; the default looks for what to delete every five.
    "log.retention.check.interval.ms": "30000",
    "num.network.threads": "2",
    "num.io.threads": "4",
    # After a SIGKILL the next start must wait until the killed broker's session has run out: 9 s by default.
    # Not shorter: a pause of the machine that outlasts it takes the partitions away from a broker that lives.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # 128 MB by default, reserved at start: half of our heap.
    "log.cleaner.dedupe.buffer.size": "8388608",
}


def start(
    install: KafkaInstall, data_dir: Path, host: str, port: int | None, environ: Mapping[str, str]
) -> KafkaHandle:
    """A running Kafka whose topics, records and group offsets live in `data_dir` and are there at the next start.

    `port` None: a free one. Writes nothing outside `data_dir`. Raises `KafkaStartFailed` (`PortInUse`).
    """
    data_dir = data_dir.resolve()
    for attempt in range(1, _START_ATTEMPTS + 1):
        chosen = [port, *free_ports(1, host)] if port is not None else free_ports(2, host)
        handle = KafkaHandle(_launch(install, data_dir, host, chosen[0], chosen[1], environ))
        try:
            handle.start()
        except PortInUse as error:
            # Between our look and Kafka's start another program took a port that nobody asked for: take others.
            if error.port == port or attempt == _START_ATTEMPTS:
                raise
        else:
            return handle
    raise AssertionError("the last attempt returns or raises")


def _launch(
    install: KafkaInstall, data_dir: Path, host: str, port: int, controller_port: int, environ: Mapping[str, str]
) -> Launch:
    logs_dir = data_dir / "logs"
    log_path = data_dir / "kafka.log"
    settings_path = data_dir / "server.properties"
    settings = _settings(logs_dir, host, port, controller_port)

    def prepare() -> None:
        if not logs_dir.is_dir():
            _format(install, data_dir, settings, logs_dir, environ)
        _write_settings(settings_path, settings)

    return Launch(
        kind="apache",
        command=_java(install, log_path, "kafka.Kafka", str(settings_path)),
        environ=environ,
        data_dir=data_dir,
        prepare=prepare,
        host=host,
        port=port,
        other_ports=(controller_port,),
        output_path=data_dir / "kafka.out",
        log_path=log_path,
    )


def _settings(logs_dir: Path, host: str, port: int, controller_port: int) -> dict[str, str]:
    return _SETTINGS | {
        # A fixed set of voters, not the newer dynamic one: that one writes the controller's port into the data,
        # and the data could then not be started on another port.
        "controller.quorum.voters": f"1@{host}:{controller_port}",
        "listeners": f"PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{host}:{port}",
        "log.dirs": str(logs_dir),
    }


def _format(
    install: KafkaInstall, data_dir: Path, settings: dict[str, str], logs_dir: Path, environ: Mapping[str, str]
) -> None:
    """Lay out an empty store in `logs_dir`, by one rename: one that was cut short is laid out anew."""
    unfinished_dir = data_dir / "logs.formatting"
    shutil.rmtree(unfinished_dir, ignore_errors=True)
    settings_path = data_dir / "format.properties"
    _write_settings(settings_path, settings | {"log.dirs": str(unfinished_dir)})
    # 22 characters of base64 for 16 bytes; the first letter is never the "-" that would look like an option.
    cluster_id = base64.urlsafe_b64encode(b"T" + secrets.token_bytes(15)).decode().rstrip("=")
    tool = ("kafka.tools.StorageTool", "format", "--cluster-id", cluster_id, "--config", str(settings_path))
    try:
        formatted = subprocess.run(
            _java(install, data_dir / "format.log", *tool),
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_FORMAT_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KafkaStartFailed(f"Kafka's storage could not be formatted: {error}") from error
    if formatted.returncode != 0:
        said = (formatted.stdout + formatted.stderr).strip().splitlines() or ["it said nothing"]
        raise KafkaStartFailed(f"Kafka's storage could not be formatted: {said[-1]}")
    settings_path.unlink()
    unfinished_dir.rename(logs_dir)


def _java(install: KafkaInstall, log_path: Path, *main: str) -> tuple[str, ...]:
    logging = (f"-Dlog4j2.configurationFile={_LOG_CONFIG.as_uri()}", f"-Dtollhouse.kafka.log={log_path}")
    return (str(install.java), *_JVM_OPTIONS, *logging, "-cp", f"{install.jars_dir}{os.sep}*", *main)


def _write_settings(path: Path, settings: Mapping[str, str]) -> None:
    """In Java's properties format, where a backslash escapes."""
    lines = [f"{key}={value}".replace("\\", "\\\\") for key, value in settings.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
