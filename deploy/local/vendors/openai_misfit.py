"""A body that does not fit, in OpenAI's words; for its endpoints beside chat completions."""

from deploy.local.vendors.strict_body import Misfit
from deploy.local.vendors.wire import Refused


def refusal_of(misfit: Misfit) -> Refused:
    param = misfit.indexed()
    if misfit.kind == "unknown":
        return Refused(400, f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")
    if misfit.kind == "missing":
        message = f"Missing required parameter: '{param}'."
        return Refused(400, message, param=param, code="missing_required_parameter")
    message = f"Invalid {misfit.kind} for '{param}': {misfit.what}."
    return Refused(400, message, param=param or None, code=f"invalid_{misfit.kind}")


NOT_JSON = "The body of the request could not be parsed as JSON."
