"""python -m catalogue_build WHEELS: writes the generated files of this repository from the wheels in a directory."""

import sys
from pathlib import Path

from catalogue_build.candidates import candidates
from catalogue_build.genai_data import UnknownForm, read_providers
from catalogue_build.litellm_data import read_rows
from catalogue_build.models import build_models
from catalogue_build.pins import READ_ON
from catalogue_build.rendering import disagreements_page, models_json
from catalogue_build.sources import MissingSource, read_sources

_ROOT = Path(__file__).parents[1]


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m catalogue_build WHEELS\n")
        return 2
    try:
        sources = read_sources(Path(arguments[0]))
        built = build_models(candidates(read_providers(sources.genai), read_rows(sources.litellm)), READ_ON)
    except (MissingSource, UnknownForm) as error:
        sys.stderr.write(f"catalogue: {error}\n")
        return 1
    (_ROOT / "runtime/catalogue/models.json").write_text(models_json(built.models), encoding="utf-8")
    (_ROOT / "docs/catalogue-disagreements.md").write_text(disagreements_page(built), encoding="utf-8")
    routes = sum(len(model.routes) for model in built.models)
    sys.stdout.write(f"{len(built.models)} models, {routes} routes, {len(built.disagreements)} disagreements\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
