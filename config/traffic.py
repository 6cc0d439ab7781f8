"""What bounds the traffic: how long a wait may last, how much may be under way at a time, what is tried again.

`Timeouts`, `Limits` and `Retries` are whole and stand at the top of the file. What a listener or a service may say of
its own has the same keys, each of which may be left out; levels.py puts the levels together.
"""

from typing import Annotated, Any

from config.declaring import Field
from config.frozen import Model
from config.retry_on import Conditions, RetryOn
from config.units import Duration, Int, PositiveDuration, Share, Size, at_least, at_most, format_size

KIBI = 1024
HeadSize = Annotated[Size, at_least(1, format_size), at_most(KIBI * KIBI, format_size)]
HeaderCount = Annotated[Int, Field(ge=1, le=10_000)]
Count = Annotated[Int, Field(ge=0, le=1_000_000)]
Attempts = Annotated[Int, Field(ge=0, le=10)]
BudgetFloor = Annotated[Int, Field(ge=0, le=1000)]
KeptBody = Annotated[Size, at_most(16 * KIBI * KIBI, format_size)]

_LISTENER_OR_TOP = "the listener or else the top of the file"


def _inherited(whole: type[Model], key: str, above: str = "the top of the file") -> Any:
    """Return the field of a lower level: what `key` means in `whole`, and None where it is left out."""
    return Field(default=None, description=f"{whole.model_fields[key].description} Left out: as {above} has it.")


class Timeouts(Model):
    """How long each wait may last. 0s means no limit, except for request_head, connect and queue, which need one."""

    request_head: PositiveDuration = Field(
        default=10.0, description="From the first byte of a request until its line and headers are complete."
    )
    body_idle: Duration = Field(default=30.0, description="Between two pieces of a request's body.")
    connect: PositiveDuration = Field(default=3.0, description="Until an instance accepts a connection.")
    response_head: Duration = Field(
        default=30.0, description="From the end of a request until the headers of the instance's response."
    )
    stream_idle: Duration = Field(
        default=300.0,
        description="Between two pieces of a response's body; in a tunnel, such as a WebSocket, between two pieces in "
        "either direction.",
    )
    request: Duration = Field(
        default=0.0,
        description="The whole of a request, with every attempt: from the end of its headers to the end of its "
        "response.",
    )
    queue: PositiveDuration = Field(
        default=5.0,
        description="How long a request may wait for a place when in_flight or in_flight_per_endpoint is reached.",
    )
    keepalive: Duration = Field(
        default=75.0, description="How long a client's connection may stay open without a request."
    )
    upstream_keepalive: Duration = Field(
        default=50.0,
        description="How long an unused connection to an instance is kept. Keep it below the instances' own limit, or "
        "a request may meet a connection that is just being closed.",
    )


class ListenerTimeouts(Model):
    """The waits of this listener's clients. What a service says of the same key counts more."""

    request_head: PositiveDuration | None = _inherited(Timeouts, "request_head")
    body_idle: Duration | None = _inherited(Timeouts, "body_idle")
    stream_idle: Duration | None = _inherited(Timeouts, "stream_idle")
    request: Duration | None = _inherited(Timeouts, "request")
    keepalive: Duration | None = _inherited(Timeouts, "keepalive")


class ServiceTimeouts(Model):
    """The waits of this service's requests. What a listener says of the same key counts less."""

    body_idle: Duration | None = _inherited(Timeouts, "body_idle", _LISTENER_OR_TOP)
    connect: PositiveDuration | None = _inherited(Timeouts, "connect")
    response_head: Duration | None = _inherited(Timeouts, "response_head")
    stream_idle: Duration | None = _inherited(Timeouts, "stream_idle", _LISTENER_OR_TOP)
    request: Duration | None = _inherited(Timeouts, "request", _LISTENER_OR_TOP)
    queue: PositiveDuration | None = _inherited(Timeouts, "queue")
    upstream_keepalive: Duration | None = _inherited(Timeouts, "upstream_keepalive")


class Limits(Model):
    """How large a request may be, and how much may be under way at a time. More is refused."""

    request_line: HeadSize = Field(
        default=8 * KIBI,
        description="The request line, which holds the method and the URL; 1B to 1MiB. A longer one gets a 414.",
    )
    headers: HeadSize = Field(
        default=32 * KIBI,
        description="All headers of a request together; 1B to 1MiB. More get a 431. The size at the top of the file "
        "holds for responses too; one with more counts as malformed.",
    )
    header_count: HeaderCount = Field(
        default=100,
        description="The number of headers of a request; 1 to 10000. More get a 431. The number at the top of the file "
        "holds for responses too; one with more counts as malformed.",
    )
    body: Size = Field(default=0, description="The body of a request. A larger one gets a 413. 0: no limit.")
    connections: Count = Field(
        default=0,
        description="The connections open at a time on a listener; 0 to 1000000. One more gets a 503 and is closed. "
        "0: no limit.",
    )
    connections_per_client: Count = Field(
        default=0,
        description="The connections that one client address has open at a time on a listener; 0 to 1000000. One more "
        "gets a 503 and is closed. 0: no limit.",
    )
    requests_per_connection: Count = Field(
        default=0,
        description="The requests on one connection of a client; 0 to 1000000. The response to the last one says that "
        "the connection closes. 0: no limit.",
    )
    in_flight: Count = Field(
        default=0,
        description="The requests of a service under way at a time; 0 to 1000000. Those beyond it wait in the queue, "
        "or get a 503 with Retry-After where that is full. 0: no limit.",
    )
    in_flight_per_endpoint: Count = Field(
        default=0,
        description="The requests under way at a time on one endpoint of a service; 0 to 1000000. An endpoint that has "
        "so many is passed over; where every one has, requests wait in the queue, or get a 503 with Retry-After. "
        "0: no limit.",
    )
    queue: Count = Field(
        default=0,
        description="The requests of a service that wait for a place at a time, each for timeouts.queue at most; 0 to "
        "1000000. 0: none waits.",
    )
    queue_per_endpoint: Count = Field(
        default=0,
        description="The requests of a service that wait for a place at a time, for each endpoint that takes traffic, "
        "so that a service with few of them left has a short queue; 0 to 1000000. 0: only queue counts.",
    )


class ListenerLimits(Model):
    """How large the requests on this listener may be, and how many connections it has."""

    request_line: HeadSize | None = _inherited(Limits, "request_line")
    headers: HeadSize | None = _inherited(Limits, "headers")
    header_count: HeaderCount | None = _inherited(Limits, "header_count")
    body: Size | None = _inherited(Limits, "body")
    connections: Count | None = _inherited(Limits, "connections")
    connections_per_client: Count | None = _inherited(Limits, "connections_per_client")
    requests_per_connection: Count | None = _inherited(Limits, "requests_per_connection")


class ServiceLimits(Model):
    """How large the requests to this service may be, and how many may be under way or wait."""

    body: Size | None = _inherited(Limits, "body", _LISTENER_OR_TOP)
    in_flight: Count | None = _inherited(Limits, "in_flight")
    in_flight_per_endpoint: Count | None = _inherited(Limits, "in_flight_per_endpoint")
    queue: Count | None = _inherited(Limits, "queue")
    queue_per_endpoint: Count | None = _inherited(Limits, "queue_per_endpoint")


class Retries(Model):
    """What is tried again on another endpoint. Only idempotent requests are, but for connections that failed."""

    attempts: Attempts = Field(
        default=2,
        description="How often a request may be tried again; 0 to 10. Connections that failed do not count: they are "
        "always tried on another endpoint.",
    )
    on: Conditions = Field(
        default=RetryOn(reset=True),
        description="What is tried again, as a list: reset (the connection broke before a byte of the response), "
        "timeout (no response within response_head or per_try_timeout), statuses from 400 to 599 such as 502, 5xx or "
        "502-504, and connect (the connection failed), which always is. Whatever stands here, only idempotent requests "
        "are tried again once they were sent.",
    )
    budget: Share = Field(
        default=0.2,
        description="How large a share of a service's requests of the last ten seconds its retries may be, so that "
        "they cannot bury it; 0% to 100%.",
    )
    budget_floor: BudgetFloor = Field(
        default=3, description="So many retries a second are allowed however few requests there are; 0 to 1000."
    )
    per_try_timeout: Duration = Field(
        default=0.0,
        description="How long one attempt may wait for the headers of its response. 0s: only response_head counts.",
    )
    backoff: Duration = Field(
        default=0.025,
        description="The pause before an endpoint that was tried already is tried again; it doubles each time.",
    )
    buffer: KeptBody = Field(
        default=64 * KIBI,
        description="How much of a request's body is kept so that it can be sent again, 0B to 16MiB. A request with a "
        "larger one is not tried again once more than that was sent.",
    )
    hedge_after: Duration = Field(
        default=0.0,
        description="When an idempotent request has no response after this time, it is sent to a second endpoint too, "
        "and the first response wins. 0s: never.",
    )


class ServiceRetries(Model):
    """What is tried again of this service's requests."""

    attempts: Attempts | None = _inherited(Retries, "attempts")
    on: Conditions | None = _inherited(Retries, "on")
    budget: Share | None = _inherited(Retries, "budget")
    budget_floor: BudgetFloor | None = _inherited(Retries, "budget_floor")
    per_try_timeout: Duration | None = _inherited(Retries, "per_try_timeout")
    backoff: Duration | None = _inherited(Retries, "backoff")
    buffer: KeptBody | None = _inherited(Retries, "buffer")
    hedge_after: Duration | None = _inherited(Retries, "hedge_after")
