"""langchain-anthropic: ChatAnthropic. It lets nobody else see the headers of its answers."""

from typing import Any

from langchain_anthropic import ChatAnthropic

from tests.clients.python.jobs import PNG_BASE64, Job, main
from tests.clients.python.langchain_chat import scenarios

IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG_BASE64}}


def chat_of(job: Job, *, api_key: str | None = None, **more: Any) -> Any:
    # Its fields have other names than its arguments, to a type checker.
    make: Any = ChatAnthropic
    return make(
        model=job.model,
        base_url=job.gateway.url,
        api_key=api_key or job.gateway.key,
        max_retries=0,
        timeout=30,
        max_tokens=1000,
        **more,
    )


if __name__ == "__main__":
    main(scenarios(chat_of, IMAGE, "json_schema"))
