"""JSON log lines on stdout, with the ids of the work at hand, and without secrets or prompts."""

import json
import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog

# Keys whose values are never written, whatever they hold.
_SECRET_KEYS = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "api_key",
        "apikey",
        "api-key",
        "x-api-key",
        "x-goog-api-key",
        "password",
        "secret",
        "token",
        "body",
        "messages",
    }
)
# Bearer tokens and the usual shapes of vendors' keys, wherever they stand in a text.
_SECRET_TEXT = re.compile(r"(?i)\b(bearer\s+)\S+|\b(?:sk|th|gsk|xai|key)[-_][A-Za-z0-9_-]{12,}")
REDACTED = "[redacted]"


def configure_logs(level: str, service: str) -> None:
    """Called once, by the command, before anything is started. Libraries' own logs come out in the same form."""
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # G5, G7: a frame's locals are prompts and keys, under names that no list could foresee.
        structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
        redact,
    ]
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*processors, structlog.processors.JSONRenderer(serializer=_dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.BytesLoggerFactory(file=sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), structlog.stdlib.add_logger_name, *processors],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=lambda *a, **k: _dumps(*a, **k).decode()),
            ],
        )
    )
    # Libraries speak only when something is wrong: aiokafka's INFO alone would drown a rebalance.
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog processor: takes secrets out of keys and texts, at any depth."""
    for key, value in event.items():
        event[key] = REDACTED if key.lower() in _SECRET_KEYS else _redact_value(value)
    return event


def _redact_value(value: Any) -> Any:
    if isinstance(value, str):
        return _SECRET_TEXT.sub(lambda found: (found[1] or "") + REDACTED, value)
    if isinstance(value, dict):
        return {k: REDACTED if str(k).lower() in _SECRET_KEYS else _redact_value(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_redact_value(item) for item in value]
    return value


def _redacted_text(value: Any) -> Any:
    """What JSON has no form for (bytes, exceptions, records) is written as text, which may hold a secret too."""
    return _redact_value(repr(value))


def _dumps(value: Any, **_kwargs: Any) -> bytes:
    try:
        # Dataclasses as text as well: orjson would write their fields past the redaction.
        return orjson.dumps(
            value, default=_redacted_text, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS
        )
    except TypeError:
        # Integers beyond 64 bits and half surrogate pairs (a client can put them in a path): a log line must not be
        # what fails.
        return json.dumps(value, default=_redacted_text, skipkeys=True).encode()
