"""GET /v1/models and /v1/models/{id} in OpenAI's form, from the catalogue. Pure."""

from datetime import UTC, date, datetime

import msgspec

from schemas.catalogue import Catalogue, Model
from schemas.failures import Failure, FailureKind


class ModelsPage:
    """Rendered once: the catalogue does not change while the process runs."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        entries = [_entry(model) for model in catalogue.models]
        self.list_body = msgspec.json.encode({"object": "list", "data": entries})

    def one(self, name: str) -> bytes | Failure:
        model = self._catalogue.find(name)
        return model_not_found(name) if model is None else msgspec.json.encode(_entry(model))


def model_not_found(name: str) -> Failure:
    return Failure(
        kind=FailureKind.MODEL_NOT_FOUND,
        message=f"The model '{name}' does not exist here. GET /v1/models lists those that do.",
        param="model",
    )


def _entry(model: Model) -> dict[str, object]:
    created = datetime.combine(_created(model), datetime.min.time(), UTC)
    return {"id": model.model_id, "object": "model", "created": int(created.timestamp()), "owned_by": model.provider}


def _created(model: Model) -> date:
    """Clients show it; where the catalogue has no date, the first price's is the nearest thing to one."""
    starts = (price.start for route in model.routes for price in route.prices)
    return model.created or min(starts, default=date(1970, 1, 1))
