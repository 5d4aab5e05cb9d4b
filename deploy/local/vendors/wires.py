"""Every wire format the simulator plays: one line each. The first endpoint that matches a request serves it."""

from deploy.local.vendors import openai_wire
from deploy.local.vendors.wire import Endpoint


def all_endpoints() -> tuple[Endpoint, ...]:
    return (*openai_wire.endpoints(),)
