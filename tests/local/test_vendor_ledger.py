"""The vendor simulator's ledger and prices by their laws, the simulator as a process, and its independence."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.vendors.behaviour import BehaviourError, parse_behaviour
from deploy.local.vendors.delivery import Vendors
from deploy.local.vendors.ledger import Ledger, Outcome
from deploy.local.vendors.prices import PriceError, load_prices, parse_prices, usd_text
from deploy.local.vendors.server import start_server

DEADLINE_S = 10.0
HEADERS = {"Authorization": "Bearer k", "Content-Type": "application/json"}
PRICES = """
[default]
input = "1.00"
cached_input = "0.10"
output = "2.00"
[priced.thinker]
input = "0.1234567"
cached_input = "0.0000001"
cache_write = "0.2"
cache_write_1h = "0.31"
output = "3.3"
reasoning = "7.77"
[zai."glm-4-32b-0414-128k"]
input = "0.10"
output = "0.10"
"""
GATEWAY_PACKAGES = ("schemas", "runtime", "ingress", "router_worker", "billing_consumer", "admin_api", "tollhouse")
OUTCOMES: list[Outcome] = ["completed", "error", "hung_up", "broken"]


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    server = await start_server(Vendors(Ledger(time.time), parse_prices(PRICES), "t"))
    async with aiohttp.ClientSession(server.url, headers=HEADERS) as session:
        yield session
    await server.close()


def body(model: str) -> dict[str, Any]:
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "one two three four"}]
    return {"model": model, "messages": messages}


async def test_summary_is_exact_to_the_last_digit(http: aiohttp.ClientSession) -> None:
    thinker = "thinker:prompt_tokens=1000003:cached_tokens=7:completion_tokens=999:reasoning_tokens=11"
    thinker += ":cache_write_tokens=5:cache_write_1h_tokens=3"
    for path, model, times in [
        ("/priced/v1", thinker, 3),
        ("/other/v1", thinker, 1),
        ("/zai/api/paas/v4", "glm-4-32b-0414-128k", 7),
        ("/openai/v1", "status:code=500", 2),
    ]:
        for _ in range(times):
            async with http.post(f"{path}/chat/completions", json=body(model)) as response:
                await response.read()
    million = Decimal(1_000_000)
    own = (999988 * Decimal("0.1234567") + 7 * Decimal("0.0000001") + 988 * Decimal("3.3")) / million
    own += (11 * Decimal("7.77") + 5 * Decimal("0.2") + 3 * Decimal("0.31")) / million
    default = (999996 * Decimal("1.00") + 7 * Decimal("0.10") + 999 * Decimal("2.00")) / million
    glm = (6 + 4) * Decimal("0.10") / million
    async with http.get("/ledger/summary") as response:
        summary = await response.json()
    assert Decimal(summary["cost_usd"]) == 3 * own + default + 7 * glm
    assert Decimal(summary["by_vendor"]["priced"]["cost_usd"]) == 3 * own
    assert Decimal(summary["by_model"][thinker]["cost_usd"]) == 3 * own + default
    assert {name: group["calls"] for name, group in summary["by_outcome"].items()} == {"completed": 11, "error": 2}
    async with http.get("/ledger") as response:
        rows = (await response.json())["calls"]
    assert sum(Decimal(row["cost_usd"]) for row in rows) == Decimal(summary["cost_usd"])
    async with http.get("/ledger?since=10&limit=2") as response:
        page = await response.json()
    assert ([row["call"] for row in page["calls"]], page["next"]) == ([11, 12], 12)


CALLS = st.tuples(
    st.sampled_from(["a", "b"]),
    st.sampled_from(["m", "n", None]),
    st.sampled_from([*OUTCOMES, None]),
    st.tuples(*[st.integers(0, 10**8)] * 6),
)


@given(st.lists(CALLS, max_size=40), st.integers(1, 50))
def test_totals_equal_the_sum_of_all_entries_even_the_evicted(
    calls: list[tuple[str, str | None, Outcome | None, tuple[int, ...]]], kept: int
) -> None:
    price = parse_prices(PRICES).price("priced", "thinker")
    ledger, bounded = Ledger(lambda: 1.0), Ledger(lambda: 1.0, max_entries=kept)
    for vendor, model, outcome, (fresh, cached, plain, reasoning, short, long) in calls:
        for target in (ledger, bounded):
            call = target.open(vendor, None, None)
            call.model, call.price = model, price
            call.prompt_tokens, call.cached_tokens = fresh + cached + short + long, cached
            call.cache_write_tokens, call.cache_write_1h_tokens = short, long
            call.completion_tokens, call.reasoning_tokens = plain + reasoning, reasoning
            if outcome is not None:
                target.close(call, outcome, 200)
                target.close(call, "error", 500)
    rows, _ = ledger.rows(0, None, None, 1000)
    whole, partial = ledger.summary(), bounded.summary()
    assert Decimal(str(whole["cost_usd"])) == sum(Decimal(row["cost_usd"]) for row in rows)
    assert [row["outcome"] for row in rows] == [outcome or "in_progress" for _, _, outcome, _ in calls]
    assert partial.pop("entries_kept") == min(kept, len(calls))
    assert whole.pop("entries_kept") == len(calls)
    assert partial == whole
    last_rows, _ = bounded.rows(0, None, None, 1000)
    assert last_rows == rows[-kept:]
    assert ledger.clear() == len(calls)
    assert ledger.summary()["calls"] == 0


def test_a_call_begun_before_clear_is_not_counted_after_it() -> None:
    ledger = Ledger(lambda: 1.0)
    call = ledger.open("v", None, None)
    ledger.clear()
    ledger.close(call, "completed", 200)
    assert ledger.summary()["calls"] == 0
    assert ledger.open("v", None, None).number == 2


@given(st.integers(0, 10**30))
def test_usd_text_is_exact(atto_usd: int) -> None:
    text = usd_text(atto_usd)
    whole, _, fraction = text.partition(".")
    assert int(whole) * 10**18 + int(fraction.ljust(18, "0")) == atto_usd
    assert "E" not in text


@pytest.mark.parametrize(
    "entry",
    ["input = 1.0", 'input = "x"', 'input = "-1"', 'input = "0.0000000000001"', 'input = "1"\nspare = "1"'],
)
def test_prices_that_cannot_be_exact_are_refused(entry: str) -> None:
    with pytest.raises(PriceError, match="default"):
        parse_prices(f'[default]\noutput = "1"\n{entry}')


def test_default_prices() -> None:
    prices = load_prices()
    assert prices.price("zai", "glm-4-32b-0414-128k").cost_atto_usd(10**6, 0, 10**6, 0) == 2 * 10**17
    assert prices.price("any", "echo").cost_atto_usd(10**6, 10**6, 10**6, 0) == 21 * 10**17


@pytest.mark.parametrize(
    ("model", "name", "kind"),
    [
        ("glm-4-32b-0414-128k", "glm-4-32b-0414-128k", "echo"),
        ("amazon.nova-2-lite-v1:0", "amazon.nova-2-lite-v1:0", "echo"),
        ("qwen/qwen3:free:chunks=2", "qwen/qwen3:free", "echo"),
        ("hang-after:chunks=7:no_usage", "hang-after", "hang-after"),
    ],
)
def test_model_names(model: str, name: str, kind: str) -> None:
    behaviour = parse_behaviour(model)
    assert (behaviour.name, behaviour.kind) == (name, kind)


@pytest.mark.parametrize(
    "model",
    [
        "echo:code=500",
        "status:code=200",
        "echo:gap_ms=nan",
        "echo:chunks=1:chunks=2",
        "echo:chunks=1:rest",
        "echo:prompt_tokens=1:cached_tokens=2",
        "echo:prompt_tokens=3:cached_tokens=2:cache_write_tokens=2",
        "echo:completion_tokens=1:reasoning_tokens=2",
    ],
)
def test_malformed_model_names(model: str) -> None:
    with pytest.raises(BehaviourError):
        parse_behaviour(model)


async def test_process_notices_a_hang_up_and_ends_on_sigterm(tmp_path: Path) -> None:
    port_file = tmp_path / "port"
    arguments = ["-m", "deploy.local.vendors", "--port", "0", "--port-file", str(port_file)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(DEADLINE_S):
            assert process.stdout is not None
            ready = (await process.stdout.readline()).decode().strip()
            url = f"http://127.0.0.1:{port_file.read_text().strip()}"
            assert ready == f"vendors ready on {url}"
            async with aiohttp.ClientSession(url, headers=HEADERS) as session:
                left = asyncio.create_task(session.post("/v/v1/chat/completions", json=body("never")))
                kept = asyncio.create_task(session.post("/v/v1/chat/completions", json=body("never")))
                await until_outcomes(session, ["in_progress", "in_progress"])
                left.cancel()
                await until_outcomes(session, ["hung_up", "in_progress"])
                process.send_signal(signal.SIGTERM)
                _, errors = await process.communicate()
                await asyncio.gather(left, kept, return_exceptions=True)
        assert (process.returncode, errors) == (0, b"")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until_outcomes(session: aiohttp.ClientSession, expected: list[str]) -> None:
    seen: list[str] = []
    while seen != expected:
        async with session.get("/ledger") as response:
            seen = sorted(call["outcome"] for call in (await response.json())["calls"])
        await asyncio.sleep(0.005)


async def test_nothing_of_the_gateway_is_imported() -> None:
    script = (
        "import json, sys, deploy.local.vendors.__main__;"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert set(json.loads(output)).isdisjoint(GATEWAY_PACKAGES)
