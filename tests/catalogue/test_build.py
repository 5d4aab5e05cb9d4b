"""The whole build on two small lists: what is in, what is left out and why, and the very bytes that are written."""

from catalogue_build.candidates import candidates
from catalogue_build.genai_data import read_providers
from catalogue_build.litellm_data import read_rows
from catalogue_build.models import Built, build_models
from catalogue_build.pins import PINS, READ_ON
from catalogue_build.rendering import disagreements_page, models_json
from runtime.catalogue.loader import BUILT_FILE, BuiltModels, read_built
from schemas.catalogue import Model
from tests.architecture.source import ROOT
from tests.catalogue.genai_source import GENAI, LITELLM

import msgspec  # isort: skip

GOLDEN = """\
{"sources":["genai-prices 0.2.3","litellm 1.109.1"],"read_on":"2026-11-22","models":[
"""


def build() -> Built:
    return build_models(candidates(read_providers(GENAI), read_rows(LITELLM)), READ_ON)


def model(model_id: str) -> Model:
    return next(each for each in build().models if each.model_id == model_id)
