"""Small stand-ins for the two published lists, in their own forms."""

import json
from typing import Any

# Written as genai-prices' data file is: nested constructor calls, never run.
GENAI_DATA = """
providers: list[Provider] = [
    Provider(id='openai', name='OpenAI', api_pattern='x', models=[
        ModelInfo(id='gpt-9', match=ClauseOr(or_=[ClauseEquals(equals='gpt-9'), ClauseRegex(regex='^gpt-9-')]),
            name='gpt 9', context_window=400000,
            prices=[
                ConditionalPrice(prices=ModelPrice(
                    input_mtok=TieredPrices(base=Decimal('2'), tiers=[Tier(start=200000, price=Decimal('4'))]),
                    cache_read_mtok=Decimal('0.2'), output_mtok=Decimal('10.0'), web_searches_kcount=Decimal('10'))),
                ConditionalPrice(constraint=StartDateConstraint(start_date=datetime.date(2026, 3, 1)),
                    prices=ModelPrice(input_mtok=Decimal('1'), output_mtok=Decimal('5'))),
            ],
            price_variants=[PriceVariant(when={'processing': 'batch'}, constraint=None,
                prices=ModelPrice(input_mtok=Decimal('0.5'), output_mtok=Decimal('2.5')))]),
        ModelInfo(id='text-embedding-9', match=ClauseEquals(equals='text-embedding-9'),
            prices=ModelPrice(input_mtok=Decimal('0.02'))),
        ModelInfo(id='free-9', match=ClauseEquals(equals='free-9'), prices=ModelPrice()),
    ]),
    Provider(id='azure', name='Azure', api_pattern='x', fallback_model_providers=['openai'], models=[]),
    Provider(id='anthropic', name='Anthropic', api_pattern='x', models=[]),
    Provider(id='google', name='Google', api_pattern='x', models=[]),
    Provider(id='aws', name='AWS', api_pattern='x', models=[
        ModelInfo(id='regional.openai.gpt-9', match=ClauseEndsWith(ends_with='us.openai.gpt-9'),
            name='GPT-9 (regional)', prices=ModelPrice(input_mtok=Decimal('1.1'), output_mtok=Decimal('5.5'))),
    ]),
    Provider(id='cohere', name='Cohere', api_pattern='x', models=[]),
    Provider(id='mistral', name='Mistral', api_pattern='x', models=[]),
    Provider(id='zai', name='Z.ai', api_pattern='x', models=[]),
    Provider(id='deepseek', name='DeepSeek', api_pattern='x', models=[
        ModelInfo(id='night', match=ClauseStartsWith(starts_with='night'), prices=[
            ConditionalPrice(prices=ModelPrice(input_mtok=Decimal('1'), output_mtok=Decimal('1'))),
            ConditionalPrice(constraint=TimeOfDateConstraint(
                start_time=datetime.time(1, 0, tzinfo=datetime.timezone.utc), end_time=datetime.time(2, 0)),
                prices=ModelPrice(input_mtok=Decimal('2'), output_mtok=Decimal('2')))]),
    ]),
    Provider(id='x-ai', name='xAI', api_pattern='x', models=[]),
    Provider(id='groq', name='Groq', api_pattern='x', models=[]),
    Provider(id='together', name='Together', api_pattern='x', models=[]),
    Provider(id='fireworks', name='Fireworks', api_pattern='x', models=[]),
    Provider(id='arcee', name='Arcee', api_pattern='x', models=[]),
    Provider(id='openrouter', name='OpenRouter', api_pattern='x', models=[
        ModelInfo(id='openai/gpt-9', match=ClauseEquals(equals='openai/gpt-9'), name='GPT-9',
            prices=ModelPrice(input_mtok=Decimal('1'), output_mtok=Decimal('5'))),
        ModelInfo(id='openai/gpt-9:batch', match=ClauseEquals(equals='openai/gpt-9:batch'),
            prices=ModelPrice(input_mtok=Decimal('0.5'), output_mtok=Decimal('2.5'))),
        ModelInfo(id='who/knows', match=ClauseEquals(equals='who/knows'),
            prices=ModelPrice(input_mtok=Decimal('1'), output_mtok=Decimal('1'))),
    ]),
]
"""
_CHAT: dict[str, Any] = {
    "mode": "chat",
    "max_input_tokens": 272_000,
    "max_output_tokens": 128_000,
    "input_cost_per_token": 1e-06,
    "output_cost_per_token": 6e-06,
    "supports_function_calling": True,
}
LITELLM_DATA = json.dumps(
    {
        "gpt-9": {**_CHAT, "litellm_provider": "openai", "supports_vision": True},
        "gpt-9-2026-02-03": {**_CHAT, "litellm_provider": "openai", "supports_vision": True},
        "azure/gpt-9": {**_CHAT, "litellm_provider": "azure", "deprecation_date": "2026-11-01"},
        "azure/eu/gpt-9": {**_CHAT, "litellm_provider": "azure"},
        "us.openai.gpt-9": {**_CHAT, "litellm_provider": "bedrock_converse", "max_input_tokens": 300_000},
        "amazon.nova-premier-v1:0": {**_CHAT, "litellm_provider": "bedrock_converse"},
        "text-embedding-9": {"litellm_provider": "openai", "mode": "embedding", "max_input_tokens": 8191},
        "free-9": {**_CHAT, "litellm_provider": "openai"},
        "gpt-9-image": {**_CHAT, "litellm_provider": "openai", "mode": "image_generation"},
        "deepseek/night": {**_CHAT, "litellm_provider": "deepseek"},
    }
)
