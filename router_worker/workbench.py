"""What serving any request takes."""

from dataclasses import dataclass

from router_worker.failure_log import FailureLog
from router_worker.health import RouteHealth
from router_worker.intents import Intents
from router_worker.measures import WorkerMeasures
from router_worker.project_vendors import ProjectVendors
from router_worker.vendor_caller import VendorCaller
from runtime.clock import Clock
from runtime.kafka.durable_producer import DurableProducer
from runtime.lifecycle import Supervisor
from schemas.catalogue import Catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbench:
    worker_id: str
    catalogue: Catalogue
    vendors: ProjectVendors
    caller: VendorCaller
    usage: DurableProducer
    intents: Intents
    health: RouteHealth
    clock: Clock
    supervisor: Supervisor
    measures: WorkerMeasures
    failures: FailureLog
