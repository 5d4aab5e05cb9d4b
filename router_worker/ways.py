"""Which client APIs a vendor can serve, and how: as it is where both speak the same format, else translated."""

from collections.abc import Mapping

from router_worker.surfaces.openai_chat import OpenAiChat as OpenAiChatSurface
from router_worker.surfaces.surface import ChatSurface, Surface
from router_worker.translate import Translated, TranslatedEmbeddings
from router_worker.usable_vendor import Way
from router_worker.vendors.openai_chat import OpenAiChat
from router_worker.vendors.row import VendorRow
from router_worker.vendors.vendor import Vendor
from router_worker.vendors.wire import EmbeddingsWire, Wire
from schemas.envelope import Surface as SurfaceName

_CHAT: Mapping[SurfaceName, ChatSurface] = {"openai.chat": OpenAiChatSurface()}

SURFACES: Mapping[SurfaceName, Surface] = {**_CHAT}


def ways_of(row: VendorRow) -> dict[SurfaceName, Way]:
    passed: dict[SurfaceName, Vendor]
    wire: Wire | None = None
    embeddings: EmbeddingsWire | None = None
    match row.wire:
        case "openai":
            passed = {"openai.chat": OpenAiChat(row)}
        case _:
            passed = {}
    ways: dict[SurfaceName, Way] = {}
    if wire is not None:
        ways |= {name: Way(Translated(surface, wire), translated=True) for name, surface in _CHAT.items()}
    return ways | {name: Way(vendor, translated=False) for name, vendor in passed.items()}
