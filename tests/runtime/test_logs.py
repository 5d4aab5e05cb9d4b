"""What a log line may not hold (G5, G7), and the form that it has."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.logs import REDACTED, redact

SECRETS = ["sk-proj-Ab3dEf6hIj9kLm", "th_0123456789abcdef", "gsk_abcdefghijklmnop", "xai-abcdefghijklmnop"]
SECRET_KEYS = ["authorization", "Authorization", "x-api-key", "api-key", "X-Goog-Api-Key", "password", "token"]
PROMPT_KEYS = ["messages", "body"]

# What services do, each in a process of its own: the configuration of logs is the process's.
SCRIPT = """
import logging
import structlog
from dataclasses import dataclass
from runtime.logs import configure_logs

@dataclass
class Keys:
    password: str

configure_logs("info", "example")
log = structlog.get_logger("example.module")

def call_vendor(prompt, key):
    raise ValueError("the vendor refused Bearer secret-0123456789")

log.debug("too quiet")
with structlog.contextvars.bound_contextvars(request_id="req_1"):
    log.info("with ids", vendor="openai")
log.info("nothing bound", headers={"Authorization": "Bearer secret-0123456789"})
log.info("odd values", raw=b"Bearer secret-0123456789", error=ValueError("Bearer secret-0123456789"),
         keys=Keys("Bearer secret-0123456789"))
log.info("beyond JSON", raw=b"Bearer secret-0123456789", large=2**70, half="\\udc80", numbers={1: 2})
try:
    call_vendor("secret prompt", "secret-0123456789")
except ValueError:
    log.exception("failed")
    logging.getLogger("aiokafka.conn").exception("library %s", "Bearer secret-0123456789")
logging.getLogger("aiokafka").info("chatter of a library")
"""


@pytest.fixture(scope="module")
def output() -> str:
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=root, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


@pytest.fixture(scope="module")
def lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_each_line_is_json_with_service_level_and_utc_time(lines: list[dict[str, Any]]) -> None:
    assert [line["event"].split(" Bearer")[0] for line in lines] == [
        "with ids",
        "nothing bound",
        "odd values",
        "beyond JSON",
        "failed",
        "library",
    ]
    for line in lines:
        assert line["service"] == "example"
        assert line["timestamp"].endswith("Z")
    assert [line["level"] for line in lines] == ["info", "info", "info", "info", "error", "error"]


def test_bound_ids_are_on_the_lines_of_their_work_and_on_no_other(lines: list[dict[str, Any]]) -> None:
    assert [line.get("request_id") for line in lines] == ["req_1", None, None, None, None, None]
    assert lines[0]["vendor"] == "openai"


def test_libraries_come_out_in_the_same_form(lines: list[dict[str, Any]]) -> None:
    assert lines[-1]["logger"] == "aiokafka.conn"


def test_no_line_holds_a_secret_or_a_prompt_whatever_it_stood_in(output: str) -> None:
    """Not even as the local variable of a frame in a trace."""
    assert "secret-0123456789" not in output
    assert "secret prompt" not in output


def test_a_trace_still_says_where(lines: list[dict[str, Any]]) -> None:
    for line in lines[-2:]:
        (trace,) = line["exception"]
        assert trace["exc_type"] == "ValueError"
        assert [frame["name"] for frame in trace["frames"]] == ["<module>", "call_vendor"]


def test_what_json_cannot_hold_is_no_reason_to_fail(lines: list[dict[str, Any]]) -> None:
    assert (lines[3]["large"], lines[3]["half"], lines[3]["numbers"]) == (2**70, "\udc80", {"1": 2})


@pytest.mark.parametrize("key", [*SECRET_KEYS, *PROMPT_KEYS])
@pytest.mark.parametrize("depth", range(4))
def test_secret_keys_are_emptied_at_any_depth(key: str, depth: int) -> None:
    value: Any = {key: {"anything": ["at", "all"]}, "kept": 1}
    for _ in range(depth):
        value = {"inner": [value]}
    event = redact(None, "info", {"event": "e", **value})
    text = json.dumps(event)
    assert "anything" not in text
    assert REDACTED in text
    assert '"kept": 1' in text


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("text", ["{}", "refused: {}.", "Authorization: Bearer {}", '{{"api_key":"{}"}}', "a={}&b=1"])
def test_keys_are_taken_out_of_texts(secret: str, text: str) -> None:
    event = redact(None, "info", {"event": text.format(secret), "list": [(text.format(secret),)]})
    assert secret not in json.dumps(event)


@given(st.text(st.characters(codec="ascii", exclude_characters=" \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f"), min_size=1))
def test_a_bearer_token_of_any_form_is_taken_out(token: str) -> None:
    event = redact(None, "info", {"event": f"sent with bEaReR {token} to the vendor"})
    assert event["event"] == f"sent with bEaReR {REDACTED} to the vendor"


@pytest.mark.parametrize(
    "text",
    ["task failed", "topic t1.requests: created", "req_0193a0b1c2d3aabbccddeeff00112233", "gpt-4o-mini", "sky-blue"],
)
def test_ordinary_texts_are_left_alone(text: str) -> None:
    assert redact(None, "info", {"event": text, "ids": {"request_id": text}}) == {
        "event": text,
        "ids": {"request_id": text},
    }
