"""langchain-openai: ChatOpenAI on Chat Completions and on Responses, and OpenAIEmbeddings."""

from typing import Any

import openai
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from tests.clients.python.jobs import PNG_BASE64, WORDS, Job, main
from tests.clients.python.langchain_chat import get_time, get_weather, results, scenarios, seen, tool_loop

IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG_BASE64}"}}


def chat_of(job: Job, *, api_key: str | None = None, **more: Any) -> Any:
    # Its fields have other names than its arguments, to a type checker.
    make: Any = ChatOpenAI
    return make(
        model=job.model,
        base_url=job.gateway.url + "/v1",
        api_key=api_key or job.gateway.key,
        max_retries=0,
        timeout=30,
        stream_usage=True,
        http_client=openai.DefaultHttpxClient(event_hooks={"response": [job.recorder]}),
        **more,
    )


def responses(job: Job) -> dict[str, Any]:
    return seen(chat_of(job, use_responses_api=True).invoke(WORDS))


def responses_tools(job: Job) -> dict[str, Any]:
    chat = chat_of(job, use_responses_api=True).bind_tools([get_weather, get_time])
    turns: list[Any] = [("user", WORDS)]
    first = chat.invoke(turns)
    return tool_loop(first, chat.invoke([*turns, first, *results(first)]))


def embeddings(job: Job) -> dict[str, Any]:
    make: Any = OpenAIEmbeddings
    client = make(
        model=job.model,
        base_url=job.gateway.url + "/v1",
        api_key=job.gateway.key,
        max_retries=0,
        # Else it would cut the texts into tokens with tables that it fetches from the Internet.
        check_embedding_ctx_length=False,
    )
    return {"lengths": [len(vector) for vector in client.embed_documents([WORDS, "something else"])]}


if __name__ == "__main__":
    main(
        {
            **scenarios(chat_of, IMAGE, "json_schema"),
            "responses": responses,
            "responses_tools": responses_tools,
            "embeddings": embeddings,
        }
    )
