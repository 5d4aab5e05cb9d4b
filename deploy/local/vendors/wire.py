"""What a wire format must be able to do; one file per format implements it (openai_wire.py)."""

from typing import Protocol

from deploy.local.vendors.generation import Ask, Plan


class Refused(Exception):
    """The simulated vendor answers with an error status; each wire puts it into its own envelope."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.retry_after_s = retry_after_s


class Frames(Protocol):
    """The events of one streamed answer, as bytes ready to send."""

    def opening(self) -> bytes: ...

    def piece(self, index: int) -> bytes: ...

    def closing(self) -> bytes: ...

    def error(self, refused: Refused) -> bytes: ...


class Wire(Protocol):
    stream_content_type: str
    garbage_body: bytes
    garbage_events: bytes

    def authorize(self, authorization: str | None, content_type: str | None) -> None:
        """Raises Refused."""

    def decode(self, body: bytes) -> Ask:
        """Raises Refused for anything the vendor would not take, naming the field."""

    def peek(self, body: bytes) -> tuple[str | None, bool | None]:
        """Model and stream of a body that was refused, as far as they can be read."""

    def sends_usage(self, ask: Ask) -> bool:
        """Whether the answer to this request carries usage figures, unless the behaviour withholds them."""

    def reply(self, answer_id: str, created: int, ask: Ask, plan: Plan, usage_sent: bool) -> bytes: ...

    def frames(self, answer_id: str, created: int, ask: Ask, plan: Plan, usage_sent: bool) -> Frames: ...

    def error_body(self, refused: Refused) -> bytes: ...

    def models_body(self, vendor: str, models: list[str]) -> bytes: ...
