"""A rich valid body for each client API: everything that is translated is in one of them, and every gateway field."""

from typing import Any

Json = dict[str, Any]

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQKJcOkw7zDtsOfCg=="
GATEWAY: Json = {
    "models": ["fuzz"],
    "vendor": "v",
    "tags": {"team": "blue"},
    "project_id": "proj",
    "customer": "customer-7",
    "routing_policy": "default",
    "zero_data_retention": False,
    "include_routing_metadata": True,
}
_PARAMETERS: Json = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "Where"}, "days": {"type": "integer", "minimum": 1}},
    "required": ["city"],
    "additionalProperties": False,
}
_ANSWER: Json = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "points": {"type": "array", "items": {"type": "number"}}},
    "required": ["name", "points"],
    "additionalProperties": False,
}
_FUNCTION: Json = {"name": "weather", "description": "The weather", "parameters": _PARAMETERS, "strict": True}
_CALLS: list[Json] = [
    {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"K\\u00f6ln"}'}},
    {"id": "call_2", "type": "function", "function": {"name": "clock", "arguments": "{}"}},
]
_CHAT_TALK: list[Json] = [
    {"role": "system", "content": "Be brief."},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this? 😀"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
        ],
    },
    {"role": "assistant", "content": None, "tool_calls": _CALLS},
    {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "noon"}]},
    {"role": "user", "content": "And then?"},
]
_CHAT_TOOLS: list[Json] = [
    {"type": "function", "function": _FUNCTION},
    {"type": "function", "function": {"name": "clock"}},
]

CHAT: tuple[Json, ...] = (
    {
        "model": "fuzz",
        "messages": _CHAT_TALK,
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens": 200,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["END"],
        "seed": 7,
        "user": "u-1",
        "tools": _CHAT_TOOLS,
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "parallel_tool_calls": False,
        **GATEWAY,
    },
    {
        "model": "fuzz",
        "messages": [
            {"role": "developer", "content": [{"type": "text", "text": "Answer in JSON."}]},
            {
                "role": "user",
                "content": [
                    {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}},
                    {"type": "text", "text": "Summarize."},
                ],
            },
            {
                "role": "assistant",
                "content": "Hm.",
                "reasoning_content": "Let me see",
                "reasoning_details": [
                    {"type": "reasoning.text", "text": "Let me see", "signature": "c2ln", "format": "anthropic"}
                ],
            },
            {"role": "user", "content": "Go on."},
        ],
        "max_tokens": 4000,
        "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "r", "strict": True, "schema": _ANSWER}},
        "presence_penalty": 0.1,
        "frequency_penalty": 0.1,
        "metadata": {"a": "b"},
    },
    {
        "model": "fuzz",
        "messages": [{"role": "user", "content": "hello"}],
        "vendors": ["v"],
        "tags": [{"key": "k", "value": "v"}],
    },
)

RESPONSES: tuple[Json, ...] = (
    {
        "model": "fuzz",
        "instructions": "Be brief.",
        "input": [
            {"role": "developer", "content": "Answer politely."},
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What is this?"},
                    {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"},
                    {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
                ],
            },
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Let me see"}]},
            {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city":"Oslo"}'},
            {"type": "function_call", "call_id": "call_2", "name": "clock", "arguments": ""},
            {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
            {"type": "function_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "noon"}]},
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "Noon.", "annotations": []}],
            },
            {"role": "user", "content": "Thanks. And then?"},
        ],
        "stream": True,
        "store": False,
        "max_output_tokens": 300,
        "temperature": 0.5,
        "top_p": 0.9,
        "tools": [{"type": "function", **_FUNCTION}, {"type": "function", "name": "clock"}],
        "tool_choice": {"type": "function", "name": "weather"},
        "parallel_tool_calls": True,
        "include": ["reasoning.encrypted_content"],
        **GATEWAY,
    },
    {
        "model": "fuzz",
        "input": "Summarize.",
        "max_output_tokens": 4000,
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"format": {"type": "json_schema", "name": "r", "strict": True, "schema": _ANSWER}, "verbosity": "low"},
        "metadata": {"a": "b"},
        "truncation": "auto",
        "user": "u-1",
    },
    {"model": "fuzz", "input": "hello"},
)

EMBEDDINGS: tuple[Json, ...] = (
    {"model": "fuzz", "input": ["one", "two ä"], "encoding_format": "float", "dimensions": 256, "user": "u", **GATEWAY},
    {"model": "fuzz", "input": "one", "encoding_format": "base64"},
    {"model": "fuzz", "input": [[1, 2, 3], [4]]},
)

_CACHE: Json = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
_MESSAGES_TALK: list[Json] = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?", **_CACHE},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
            {
                "type": "document",
                "title": "A paper",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
            },
        ],
    },
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "Let me see", "signature": "c2ln"},
            {"type": "redacted_thinking", "data": "ZW5j"},
            {"type": "text", "text": "I'll look."},
            {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Köln"}},
            {"type": "tool_use", "id": "toolu_2", "name": "clock", "input": {}},
        ],
    },
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"},
            {
                "type": "tool_result",
                "tool_use_id": "toolu_2",
                "is_error": True,
                "content": [
                    {"type": "text", "text": "broken"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                ],
            },
            {"type": "text", "text": "And then?"},
        ],
    },
]
_MESSAGES_TOOLS: list[Json] = [
    {"name": "weather", "description": "The weather", "input_schema": _PARAMETERS, **_CACHE},
    {"name": "clock", "input_schema": {"type": "object", "properties": {}}},
]
MESSAGES: tuple[Json, ...] = (
    {
        "model": "fuzz",
        "max_tokens": 4000,
        "system": [{"type": "text", "text": "Be brief.", **_CACHE}],
        "messages": _MESSAGES_TALK,
        "stream": True,
        "tools": _MESSAGES_TOOLS,
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "thinking": {"type": "enabled", "budget_tokens": 1500},
        "metadata": {"user_id": "u"},
        **GATEWAY,
    },
    {
        "model": "fuzz",
        "max_tokens": 100,
        "system": "Answer in JSON.",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a text"}},
                    {"type": "text", "text": "Summarize."},
                ],
            },
        ],
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 5,
        "stop_sequences": ["END"],
        "output_config": {"format": {"type": "json_schema", "schema": _ANSWER}},
    },
    {"model": "fuzz", "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}]},
)
COUNT_TOKENS: tuple[Json, ...] = (
    {"model": "fuzz", "system": "Be brief.", "messages": _MESSAGES_TALK, "tools": _MESSAGES_TOOLS, **GATEWAY},
)

GENERATE: tuple[Json, ...] = (
    {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": "What is this?"},
                    {"inlineData": {"mimeType": "image/png", "data": PNG}},
                    {"inlineData": {"mimeType": "application/pdf", "data": PDF}},
                ],
            },
            {
                "role": "model",
                "parts": [
                    {"text": "Let me see", "thought": True},
                    {
                        "functionCall": {"id": "c1", "name": "weather", "args": {"city": "Oslo"}},
                        "thoughtSignature": "c2ln",
                    },
                    {"functionCall": {"name": "clock"}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"id": "c1", "name": "weather", "response": {"output": "sunny"}}},
                    {"functionResponse": {"name": "clock", "response": {"hour": 12}}},
                    {"text": "And then?"},
                ],
            },
        ],
        "tools": [
            {
                "functionDeclarations": [
                    {
                        "name": "weather",
                        "description": "The weather",
                        "parameters": {
                            "type": "OBJECT",
                            "properties": {"city": {"type": "STRING"}, "days": {"type": "INTEGER", "nullable": True}},
                            "required": ["city"],
                        },
                    },
                    {"name": "clock", "parametersJsonSchema": {"type": "object", "properties": {}}},
                ]
            }
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}},
        "generationConfig": {
            "temperature": 0.5,
            "topP": 0.9,
            "topK": 5,
            "maxOutputTokens": 4000,
            "stopSequences": ["END"],
            "candidateCount": 1,
            "seed": 7,
            "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 1500},
        },
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        **GATEWAY,
    },
    {
        "system_instruction": {"parts": [{"text": "Answer in JSON."}]},
        "contents": [
            {
                "parts": [
                    {"text": "Summarize."},
                    {"fileData": {"mimeType": "image/png", "fileUri": "https://x.test/a.png"}},
                ]
            }
        ],
        "generation_config": {
            "response_mime_type": "application/json",
            "responseSchema": {
                "type": "OBJECT",
                "properties": {"name": {"type": "STRING"}, "points": {"type": "ARRAY", "items": {"type": "NUMBER"}}},
                "propertyOrdering": ["name", "points"],
            },
            "max_output_tokens": 200,
        },
    },
    {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]},
)
