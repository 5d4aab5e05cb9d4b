"""What leases cost in Kafka records, measured on the whole fleet: three ingress replicas, hard budgets, load.

    python -m bench.lease_records [--requests 12000] [--clients 48] [--keys 1]

Counts what was added to `spend.commands` (by kind) and to `spend` while the load ran. Settlements and clocks are there
with or without leases: they are how spend becomes known at all.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.load import run as run_load
from schemas.fencing import MARKER_KEY
from schemas.spend import SPEND_COMMAND, LeaseReports, Settlements
from schemas.topics import Topic
from tests.e2e.admin import admin
from tests.e2e.stack import Stack

PATH = "/v1/chat/completions"


async def records(bootstrap: str, after: dict[TopicPartition, int]) -> tuple[Counter[str], dict[TopicPartition, int]]:
    """Records in both topics from the given places on, by kind; and where they end."""
    reader = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=50)
    await reader.start()
    try:
        counts: Counter[str] = Counter()
        for topic in (Topic.SPEND_COMMANDS, Topic.SPEND):
            await reader._client.add_topic(topic.value)
            partitions = [TopicPartition(topic.value, number) for number in reader.partitions_for_topic(topic.value)]
            reader.assign(partitions)
            ends = await reader.end_offsets(partitions)
            for partition in partitions:
                reader.seek(partition, after.get(partition, 0))
                while after and await reader.position(partition) < ends[partition]:
                    for found in (await reader.getmany(partition, timeout_ms=200)).values():
                        counts.update(_kind(topic, record.key, record.value) for record in found)
            after = {**after, **ends}
        return counts, after
    finally:
        await reader.stop()


def _kind(topic: Topic, key: bytes | None, value: bytes | None) -> str:
    if topic is Topic.SPEND:
        return "marker" if key == MARKER_KEY.encode() else "ledger states (grants, and spend for everybody to see)"
    command = SPEND_COMMAND.decode(value or b"").command
    if isinstance(command, LeaseReports):
        return "lease reports"
    return "settlements" if isinstance(command, Settlements) else "usage clocks"


async def measure(stack: Stack, secret: str, requests: int, clients: int) -> tuple[Counter[str], float]:
    info = stack.info
    _, start = await records(info["kafka_bootstrap"], {})
    started_s = time.monotonic()
    each = [
        run_load(url, PATH, secret, "sim-echo", clients=clients // 3, requests=requests // 3, stream=False)
        for url in info["api_urls"]
    ]
    results = await asyncio.gather(*each)
    took_s = time.monotonic() - started_s
    failures = sum(result["failures"] for result in results)
    if failures:
        sys.exit(f"bench: {failures} requests failed: {results}")
    counts, _ = await records(info["kafka_bootstrap"], start)
    return counts, took_s


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.lease_records")
    parser.add_argument("--requests", type=int, default=12_000)
    parser.add_argument("--clients", type=int, default=48)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        stack = Stack(Path(directory) / "stack", ["--ingress", "3", "--workers", "1", "--kafka", "apache"], {})
        stack.up()
        try:
            admin(stack, "POST", "/projects", {"project_id": "load", "organization_id": "local"})
            key = admin(stack, "POST", "/keys", {"project_id": "load"})
            for kind, scope_id in (("project", "load"), ("api_key", key["api_key_id"])):
                budget = {"organization_id": "local", "scope_kind": kind, "scope_id": scope_id}
                admin(stack, "POST", "/budgets", {**budget, "limit_usd": "1000", "enforcement": "hard"})
            uvloop.run(measure(stack, key["secret"], 300, 12))  # leases open, caches fill
            counts, took_s = uvloop.run(measure(stack, key["secret"], given.requests, given.clients))
        finally:
            stack.down()
    rate = given.requests / took_s
    print(f"{given.requests} requests in {took_s:.1f} s ({rate:.0f}/s); 3 ingress replicas, 2 hard budgets\n")
    print("| records | in all | per 100 requests |\n|---|---|---|")
    for kind, count in sorted(counts.items()):
        print(f"| {kind} | {count} | {100 * count / given.requests:.2f} |")


if __name__ == "__main__":
    main()
