"""How a vendor call went, in no vendor's and no client's terms."""

from dataclasses import dataclass

from schemas.failures import Failure
from schemas.usage import AttemptOutcome, TokenCounts


@dataclass(slots=True)
class CallResult:
    """How one vendor call went.

    answered: the client has got some of it, so no other route may be tried (G2). tokens: the vendor's own figures.
    began: the vendor may have begun to work, so without figures an upper bound is booked. output_bytes: generated text
    that arrived, None if nothing can be said.
    """

    outcome: AttemptOutcome = "completed"
    failure: Failure | None = None
    answered: bool = False
    began: bool = False
    tokens: TokenCounts | None = None
    output_bytes: int | None = None
    status: int | None = None
    first_byte_ms: int | None = None
    vendor_request_id: str | None = None
