"""Real brokers, started the way the one-machine stack starts them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from deploy.local.kafka import apache, choose, tansu
from deploy.local.kafka.errors import KafkaStartFailed, KafkaUnavailable, PortInUse
from deploy.local.kafka.jars import KafkaInstall, install
from deploy.local.kafka.ports import free_ports
from deploy.local.kafka.probe import why_not_ready
from deploy.local.kafka.process import KafkaHandle, Launch

HOST = "127.0.0.1"
PLANNED_END = '{"planned_end": 77, "note": "é"}'


@pytest.fixture(scope="module")
def kafka_install() -> KafkaInstall:
    try:
        return install(print, os.environ)
    except KafkaUnavailable as unavailable:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must have Apache Kafka: {unavailable.reason}")
        pytest.skip(unavailable.reason)


@pytest.fixture(scope="module")
def apache_kafka(kafka_install: KafkaInstall, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaHandle]:
    handle = apache.start(kafka_install, tmp_path_factory.mktemp("kafka"), HOST, None, os.environ)
    yield handle
    handle.stop()


@pytest.fixture
def tansu_kafka(tmp_path: Path) -> Iterator[KafkaHandle]:
    handle = tansu.start(tmp_path, HOST, None, os.environ)
    yield handle
    handle.stop()


@asynccontextmanager
async def admin_of(kafka: KafkaHandle) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


@asynccontextmanager
async def producer_of(kafka: KafkaHandle, *, idempotent: bool) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all", enable_idempotence=idempotent)
    try:
        await producer.start()
        yield producer
    finally:
        await producer.stop()


async def create_topic(kafka: KafkaHandle, name: str, settings: dict[str, str] | None = None) -> None:
    async with admin_of(kafka) as admin:
        answer = await admin.create_topics([NewTopic(name, 1, 1, topic_configs=settings or {})])
    # aiokafka raises nothing for a topic that was refused: the error is in the answer.
    (result,) = answer.to_object()["topic_errors"]
    assert (result["topic"], result["error_code"]) == (name, 0)


async def read(
    kafka: KafkaHandle, topic: str, count: int, group: str | None = None, commit: str | None = None
) -> list[tuple[bytes | None, tuple[tuple[str, bytes], ...]]]:
    """The first `count` records' values and headers; with `commit`, then commit `count` with that metadata."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=kafka.bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=20,
    )
    await consumer.start()
    try:
        async with asyncio.timeout(20):
            records = [await consumer.getone() for _ in range(count)]
            if commit is not None:
                await consumer.commit({TopicPartition(topic, 0): OffsetAndMetadata(count, commit)})
    finally:
        await consumer.stop()
    return [(record.value, tuple(record.headers)) for record in records]


async def committed(kafka: KafkaHandle, group: str, topic: str) -> OffsetAndMetadata:
    async with admin_of(kafka) as admin:
        partition = TopicPartition(topic, 0)
        return (await admin.list_consumer_group_offsets(group, partitions=[partition]))[partition]


async def test_records_headers_and_committed_metadata_come_back(apache_kafka: KafkaHandle) -> None:
    await create_topic(apache_kafka, "plain", {"retention.ms": "60000"})
    async with producer_of(apache_kafka, idempotent=True) as producer:
        await producer.send_and_wait("plain", b"body", headers=[("envelope", b"\x00\xff"), ("empty", b"")])
    records = await read(apache_kafka, "plain", 1, group="readers", commit=PLANNED_END)
    assert records == [(b"body", (("envelope", b"\x00\xff"), ("empty", b"")))]
    assert await committed(apache_kafka, "readers", "plain") == OffsetAndMetadata(1, PLANNED_END)


async def test_a_misspelt_topic_is_not_made(apache_kafka: KafkaHandle) -> None:
    async with admin_of(apache_kafka) as admin:
        (described,) = await admin.describe_topics(["misspelt"])
        assert described["error_code"] == 3
        assert "misspelt" not in await admin.list_topics()


async def test_a_group_can_join_right_after_the_first_start(apache_kafka: KafkaHandle) -> None:
    # The offsets topic is there although no test of this module need have used a group yet.
    async with admin_of(apache_kafka) as admin:
        assert await admin.find_coordinator("no such group yet") == 1


def test_it_has_a_session_of_its_own_and_not_our_terminal(apache_kafka: KafkaHandle) -> None:
    assert os.getsid(apache_kafka.pid) == apache_kafka.pid != os.getsid(0)
    assert os.readlink(f"/proc/{apache_kafka.pid}/fd/0") == os.devnull


async def test_data_and_offsets_outlive_sigkill_a_stop_and_a_change_of_ports(
    kafka_install: KafkaInstall, tmp_path: Path
) -> None:
    kafka = apache.start(kafka_install, tmp_path, HOST, None, os.environ)
    try:
        bootstrap, first_pid = kafka.bootstrap, kafka.pid
        await create_topic(kafka, "kept")
        async with producer_of(kafka, idempotent=True) as producer:
            await producer.send_and_wait("kept", b"before")
            await read(kafka, "kept", 1, group="billing", commit=PLANNED_END)
            kafka.kill()
            assert not kafka.running
            await asyncio.to_thread(kafka.start)
            # The same producer, with the same ports to come back to.
            await asyncio.wait_for(producer.send_and_wait("kept", b"after"), 20)
        assert (kafka.bootstrap, kafka.pid != first_pid) == (bootstrap, True)
        assert await committed(kafka, "billing", "kept") == OffsetAndMetadata(1, PLANNED_END)
        kafka.stop()
        with pytest.raises(ProcessLookupError):
            os.kill(kafka.pid, 0)

        kafka = apache.start(kafka_install, tmp_path, HOST, None, os.environ)
        assert kafka.bootstrap != bootstrap
        assert [value for value, _ in await read(kafka, "kept", 2)] == [b"before", b"after"]
        assert await committed(kafka, "billing", "kept") == OffsetAndMetadata(1, PLANNED_END)
        # One that does not react is ended all the same.
        os.kill(kafka.pid, signal.SIGSTOP)
        kafka.stop(timeout_s=0.2)
        assert not kafka.running
    finally:
        kafka.kill()


async def test_a_second_kafka_on_the_same_data_is_refused_and_the_first_is_unharmed(
    kafka_install: KafkaInstall, apache_kafka: KafkaHandle
) -> None:
    # Were the second one let in, it would append to the metadata log of the first before it noticed.
    data_dir = Path(os.readlink(f"/proc/{apache_kafka.pid}/fd/1")).parent
    with pytest.raises(KafkaStartFailed, match="in use by a Kafka that is still running"):
        apache.start(kafka_install, data_dir, HOST, None, os.environ)
    await create_topic(apache_kafka, "still-well")


def test_a_taken_port_is_named(kafka_install: KafkaInstall, tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortInUse, match=f"port {port} on {HOST} is in use"):
            apache.start(kafka_install, tmp_path, HOST, port, os.environ)


def test_jars_that_are_no_kafka_are_reported_with_what_java_said(tmp_path: Path) -> None:
    broken = KafkaInstall(Path(sys.executable), tmp_path, "0")
    with pytest.raises(KafkaStartFailed, match=r"could not be formatted: .+"):
        apache.start(broken, tmp_path / "data", HOST, None, os.environ)
    assert not (tmp_path / "data" / "logs").exists()


def launch_of(script: str, tmp_path: Path, log_path: Path | None = None) -> Launch:
    return Launch(
        kind="apache",
        command=("/bin/sh", "-c", script),
        environ=os.environ,
        data_dir=tmp_path,
        prepare=lambda: None,
        host=HOST,
        port=free_ports(1, HOST)[0],
        other_ports=(),
        output_path=tmp_path / "out",
        log_path=log_path,
    )


def test_a_broker_that_dies_at_start_is_explained_by_this_runs_errors(tmp_path: Path) -> None:
    log_path = tmp_path / "log"
    log_path.write_text("ERROR of the run before\n")
    handle = KafkaHandle(launch_of("echo starting; echo 'ERROR out of luck'; echo bye; exit 3", tmp_path, log_path))
    with pytest.raises(KafkaStartFailed) as raised:
        handle.start()
    assert str(raised.value).splitlines()[1:] == ["  ERROR out of luck"]
    assert "(3)" in str(raised.value)
    assert (tmp_path / "log.previous").read_text() == "ERROR of the run before\n"


def test_a_broker_that_never_answers_is_ended_when_the_limit_is_over(tmp_path: Path) -> None:
    handle = KafkaHandle(launch_of("exec sleep 61", tmp_path))
    with pytest.raises(KafkaStartFailed, match="not ready after 0 s: it does not answer"):
        handle.start(limit_s=0.2)
    assert not handle.running


METADATA_OF_ONE_BROKER = struct.pack(">ii", 0, 1)
METADATA_OF_NO_BROKER = struct.pack(">ii", 0, 0)
COORDINATOR_NOT_AVAILABLE = struct.pack(">iih", 0, 0, 15)
COORDINATOR = struct.pack(">iih", 0, 0, 0)


@pytest.mark.parametrize(
    ("answers", "missing"),
    [
        ([METADATA_OF_NO_BROKER], "not registered"),
        ([METADATA_OF_ONE_BROKER, COORDINATOR_NOT_AVAILABLE], "group coordinator"),
        ([METADATA_OF_ONE_BROKER], "closed"),
        ([b"xx"], "not Kafka's"),
        ([METADATA_OF_ONE_BROKER, COORDINATOR], None),
    ],
)
def test_half_a_broker_is_not_ready(answers: list[bytes], missing: str | None) -> None:
    with socket.create_server((HOST, 0)) as server, ThreadPoolExecutor(1) as pool:

        def serve() -> None:
            connection, _ = server.accept()
            # The probe hangs up on an answer that makes no sense.
            with connection, suppress(ConnectionResetError):
                for answer in answers:
                    connection.recv(4096)
                    connection.sendall(struct.pack(">i", len(answer)) + answer)
                connection.recv(4096)

        serving = pool.submit(serve)
        said = why_not_ready(HOST, server.getsockname()[1], timeout_s=10)
        serving.result(10)
    assert (said is None) if missing is None else (said is not None and missing in said)


async def test_tansu_holds_records_groups_and_offsets_until_it_stops(tansu_kafka: KafkaHandle) -> None:
    await create_topic(tansu_kafka, "plain", {"cleanup.policy": "compact"})
    async with producer_of(tansu_kafka, idempotent=False) as producer:
        await producer.send_and_wait("plain", b"body", key=b"key", headers=[("envelope", b"\x00\xff")])
    assert await read(tansu_kafka, "plain", 1, group="readers", commit="") == [(b"body", (("envelope", b"\x00\xff"),))]
    assert (await committed(tansu_kafka, "readers", "plain")).offset == 1
    bootstrap = tansu_kafka.bootstrap
    tansu_kafka.restart()
    assert tansu_kafka.bootstrap == bootstrap
    async with admin_of(tansu_kafka) as admin:
        assert await admin.list_topics() == []


async def test_tansu_lacks_what_its_notice_says(tansu_kafka: KafkaHandle) -> None:
    # A failure here is good news: Tansu has learned something, and tansu.LACKS has a line too many.
    with pytest.raises(KafkaError):
        async with producer_of(tansu_kafka, idempotent=True):
            pass
    async with producer_of(tansu_kafka, idempotent=False) as producer:
        await producer.send_and_wait("never-created", b"body")
    await read(tansu_kafka, "never-created", 1, group="billing", commit=PLANNED_END)
    assert (await committed(tansu_kafka, "billing", "never-created")).metadata == ""


def test_without_java_auto_takes_tansu_and_says_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(KafkaUnavailable, match="there is no java"):
        choose.start("apache", tmp_path, print, HOST, None)
    said: list[str] = []
    handle = choose.start("auto", tmp_path, said.append, HOST, None)
    try:
        assert handle.kind == "tansu"
        assert all(lack in said[0] for lack in ("there is no java", *tansu.LACKS))
    finally:
        handle.stop()


def test_in_the_foreground_it_says_when_it_is_ready_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deploy.local.kafka", "--data-dir", str(tmp_path)]
    command += ["--kind", "tansu", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as foreground:
        assert foreground.stdout is not None
        try:
            said = foreground.stdout.readline()
            assert said.startswith(f"kafka ready on {HOST}:")
            foreground.send_signal(signal.SIGINT)
            assert foreground.wait(20) == 0
        finally:
            foreground.kill()
    port = int(said.strip().rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, port), timeout=5)
