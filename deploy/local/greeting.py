"""What a person reads when everything is ready: where things are, and a first call to copy."""

from deploy.local.layout import Layout
from deploy.local.stack_file import StackFile

_TRY_MODEL = "sim-echo"
_REAL_MODEL = "smollm2-135m"
_NO_REAL_VENDORS = "none; set ZAI_API_KEY (or another vendor's key) to call that vendor for real"


def greeting(stack: StackFile, layout: Layout, real: tuple[str, ...], simulated: tuple[str, ...]) -> str:
    model = _REAL_MODEL if stack.pids.real_model is not None else _TRY_MODEL
    api_key = stack.api_key or "<a key of your bootstrap file>"
    lines = ["", "Tollhouse is up.", ""]
    lines += _table(
        [
            ("API", " ".join(f"{url}/v1" for url in stack.api_urls)),
            ("API key", f"{api_key}  (its project: {layout.shown / layout.bootstrap_file.name})"),
            ("Admin API", f"{stack.admin_url}  (key: {layout.shown / layout.management_key_file.name})"),
            ("Kafka", f"{stack.kafka_bootstrap} ({stack.kafka_kind})"),
            ("ClickHouse", f"{stack.clickhouse_url} (database tollhouse)"),
            (
                "Vendor simulator",
                f"{stack.vendor_url} (its own count of calls: /ledger/summary; its prices hold for the sim-* models)",
            ),
            ("Metrics", " ".join(_metrics(stack))),
            ("Logs", str(layout.shown / layout.logs_dir.name)),
            ("All of this", str(layout.shown / layout.stack_file.name)),
            ("Real vendors", ", ".join(real) or _NO_REAL_VENDORS),
            ("Simulated", ", ".join(simulated) or "none"),
        ]
    )
    lines += [
        "",
        "Try it:",
        "",
        f"  curl {stack.api_url}/v1/chat/completions \\",
        f"    -H 'Authorization: Bearer {api_key}' -H 'Content-Type: application/json' \\",
        f"""    -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello, toll keeper"}}]}}'""",
        "",
        "With the OpenAI SDK:",
        "",
        "  from openai import OpenAI",
        f'  client = OpenAI(base_url="{stack.api_url}/v1", api_key="{api_key}")',
        '  messages = [{"role": "user", "content": "Hello, toll keeper"}]',
        f'  print(client.chat.completions.create(model="{model}", messages=messages).choices[0].message.content)',
        "",
        f"Every model: curl -H 'Authorization: Bearer {api_key}' {stack.api_url}/v1/models",
        "",
    ]
    return "\n".join(lines)


def _metrics(stack: StackFile) -> list[str]:
    urls = stack.metrics_urls
    return [*urls.ingress, *urls.router_worker, *urls.billing_consumer, *urls.admin_api]


def _table(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows)
    return [f"  {name:<{width}}  {value}" for name, value in rows]
