"""The whole build on two small lists: what is in, what is left out and why, and the very bytes that are written."""

import pytest

from catalogue_build.candidates import candidates
from catalogue_build.genai_data import UnknownForm, read_providers
from catalogue_build.litellm_data import read_rows
from catalogue_build.models import Built, build_models
from catalogue_build.pins import BOTH_SOURCES, FACTS_SOURCE, GENAI_PRICES, LITELLM, PINS, PRICE_SOURCE, READ_ON
from catalogue_build.rendering import disagreements_page, models_json
from catalogue_build.routes import Disagreement
from runtime.catalogue.loader import BUILT_FILE, read_built
from tests.architecture.source import ROOT
from tests.catalogue.published_lists import GENAI_DATA, LITELLM_DATA

_DATED = (
    '[{"start":"2025-01-01","input":"2","output":"10","cached_input":"0.2","batch_input":"0.5","batch_output":"2.5",'
    '"tiers":[{"above_input_tokens":200000,"input":"4","output":"10","cached_input":"0.2"}],"source":"PRICES"},'
    '{"start":"2026-03-01","input":"1","output":"5","batch_input":"0.5","batch_output":"2.5","source":"PRICES"}]'
)
GOLDEN = f"""\
{{"sources":["{GENAI_PRICES}","{LITELLM}"],"read_on":"{READ_ON.isoformat()}","models":[
{{"model_id":"gpt-9","name":"GPT-9","provider":"openai","aliases":["gpt-9-2026-02-03","openai.gpt-9",\
"us.openai.gpt-9"],"created":"2026-02-03","routes":[
 {{"vendor":"openai","vendor_model":"gpt-9-2026-02-03","prices":{_DATED},"context_tokens":400000,\
"max_output_tokens":128000,"capabilities":["streaming","tools","vision"],"facts_from":"FACTS"}},
 {{"vendor":"bedrock","vendor_model":"us.openai.gpt-9","prices":[{{"start":"2025-01-01","input":"1.1","output":"5.5",\
"source":"PRICES"}}],"context_tokens":300000,"max_output_tokens":128000,"capabilities":["streaming","tools"],\
"zero_data_retention":true,"region":"us","facts_from":"FACTS"}},
 {{"vendor":"openrouter","vendor_model":"openai/gpt-9","prices":[{{"start":"2025-01-01","input":"1","output":"5",\
"source":"PRICES"}}],"context_tokens":300000,"max_output_tokens":128000,"capabilities":["streaming","tools"],\
"facts_from":"{BOTH_SOURCES}: as the model's other routes"}},
 {{"vendor":"azure","vendor_model":"gpt-9","prices":{_DATED},"context_tokens":400000,"max_output_tokens":128000,\
"capabilities":["streaming","tools"],"status":"deprecated","facts_from":"FACTS"}}]}},
{{"model_id":"text-embedding-9","name":"text-embedding-9","provider":"openai","kind":"embeddings","routes":[
 {{"vendor":"openai","vendor_model":"text-embedding-9","prices":[{{"start":"2025-01-01","input":"0.02","output":"0",\
"source":"PRICES"}}],"context_tokens":8191,"max_output_tokens":8191,"capabilities":[],"facts_from":"FACTS"}}]}}
]}}
""".replace("PRICES", PRICE_SOURCE).replace("FACTS", FACTS_SOURCE)


def build() -> Built:
    return build_models(candidates(read_providers(GENAI_DATA), read_rows(LITELLM_DATA)), READ_ON)


def test_the_bytes_that_are_written() -> None:
    assert models_json(build().models) == GOLDEN


def test_what_is_left_out_is_told_with_the_reason() -> None:
    assert build().left_out == {
        "free, or no price known": ["openai/free-9"],
        "no source knows what it can do": ["openrouter/who/knows"],
        "price depends on the time of day": ["deepseek/night"],
    }


def test_every_disagreement_is_told() -> None:
    built = build()
    assert built.disagreements == [
        Disagreement("openai/gpt-9-2026-02-03", "output", "5", "6", "genai-prices"),
        Disagreement("bedrock/us.openai.gpt-9", "input", "1.1", "1", "genai-prices"),
        Disagreement("bedrock/us.openai.gpt-9", "output", "5.5", "6", "genai-prices"),
        Disagreement("azure/gpt-9", "output", "5", "6", "genai-prices"),
    ]
    page = disagreements_page(built)
    assert "| bedrock/us.openai.gpt-9 | input | 1.1 | 1 | genai-prices |" in page
    assert "- price depends on the time of day (1): `deepseek/night`" in page


@pytest.mark.parametrize(
    ("known", "unknown"),
    [
        ("ClauseStartsWith(starts_with='night')", "ClauseSoundsLike(sounds_like='night')"),
        ("Decimal('0.02')", "Decimal('0.01') + Decimal('0.01')"),
        ("providers: list[Provider] =", "suppliers: list[Provider] ="),
    ],
)
def test_a_form_of_the_list_that_is_not_known_stops_the_build(known: str, unknown: str) -> None:
    assert known in GENAI_DATA
    with pytest.raises(UnknownForm):
        list(candidates(read_providers(GENAI_DATA.replace(known, unknown)), read_rows(LITELLM_DATA)))


def test_the_committed_file_is_as_the_builder_writes_it() -> None:
    """A hand that edits the generated file leaves traces, and loading must lose nothing of what was written."""
    assert models_json(read_built(BUILT_FILE).models) == BUILT_FILE.read_text(encoding="utf-8")


def test_the_lock_pins_what_the_rows_name() -> None:
    lock = (ROOT / "requirements/catalogue.lock").read_text(encoding="utf-8")
    assert tuple(line.split(" ")[0] for line in lock.splitlines() if "==" in line) == PINS
    page = (ROOT / "docs/catalogue-disagreements.md").read_text(encoding="utf-8")
    assert f"{GENAI_PRICES} and {LITELLM}, read on {READ_ON.isoformat()}" in page
