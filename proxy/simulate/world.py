"""Every key of a scenario: its name, what it means, its default. `Scenario` is the root, at the end.

A word with a unit is read as in the configuration, and so are the balancers and the keys under `service`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from config.discovery import Discovery, Sources
from config.frozen import FrozenMapping, Model, one_of
from config.service import Balancer, Service
from config.texts import ServiceName
from config.units import Bool, Duration, Int, PositiveDuration, Share, is_number, parse_duration, show

MOST_REQUESTS = 10_000_000
MOST_ENDPOINTS = 10_000
LONGEST = 86400.0  # seconds of virtual time
FASTEST = 1_000_000.0  # requests a second
MOST_TIMES = 1_000_000.0  # that something may be slower
MOST_PROXIES = 100
# What a service of the configuration has and a simulation has not: its registry, its sockets, its clients.
NOT_SIMULATED = ("discovery", "balancer", "guard", "subset", "sticky", "overrides")
DISTRIBUTIONS = ("constant", "exponential", "normal", "lognormal", "bimodal")
DISTURBANCES = ("slower", "service_time", "stalled", "down", "failures")


def _number(least: float, most: float, unit: str) -> PlainValidator:
    def parse(value: object) -> float:
        if not is_number(value) or not least <= value <= most:  # type: ignore[operator]  # is_number says that it is one
            raise ValueError(f"must be a number from {least:g} to {most:,.0f}{unit}, not {show(value)}")
        return float(value)  # type: ignore[arg-type]

    return PlainValidator(parse)


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Rate = Annotated[
    float,
    _number(0, FASTEST, " requests a second"),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": FASTEST}),
]
Times = Annotated[
    float, _number(0.001, MOST_TIMES, ""), WithJsonSchema({"type": "number", "minimum": 0.001, "maximum": MOST_TIMES})
]
Skew = Annotated[float, _number(0, 10, ""), WithJsonSchema({"type": "number", "minimum": 0, "maximum": 10})]
Names = Annotated[
    tuple[ServiceName, ...],
    Field(min_length=1),
    BeforeValidator(_listed),
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]},
    ),
]


class Normal(Model):
    """Times around a mean, as a bell curve has them; what would be below 0s takes none."""

    mean: PositiveDuration = Field(description="The mean.")
    deviation: Duration = Field(description="The standard deviation.")


def _in_order(given: Mapping[str, Any]) -> str | None:
    """Want the 99th percentile above the median."""
    median, p99 = given.get("median"), given.get("p99")
    if isinstance(median, float) and isinstance(p99, float) and p99 < median:
        return "must have a p99 that is not below the median"
    return None


class Lognormal(Model):
    """Many short times and a long tail, as most services have."""

    rules = (_in_order,)

    median: PositiveDuration = Field(description="The time that half of the requests take at most.")
    p99: PositiveDuration = Field(description="The time that 99 % of the requests take at most.")


class Bimodal(Model):
    """Two kinds of requests: most take one time, some another."""

    fast: PositiveDuration = Field(description="What most requests take.")
    slow: PositiveDuration = Field(description="What the others take.")
    slow_share: Share = Field(description="The share of the others, 0% to 100%.")


def _one_distribution(given: Mapping[str, Any]) -> str | None:
    """Want exactly one way to say how long it takes."""
    return None if len(given) == 1 else f"must have exactly one of {', '.join(DISTRIBUTIONS)}"


class ServiceTime(Model):
    """How long an instance works on a request. A duration alone is always the same; else exactly one of these keys."""

    model_config = one_of(*DISTRIBUTIONS)
    rules = (_one_distribution,)

    constant: PositiveDuration | None = Field(default=None, description="Always this long.")
    exponential: PositiveDuration | None = Field(
        default=None, description="Exponentially distributed, with this mean: most short, a few several times as long."
    )
    normal: Normal | None = Field(default=None, description="Around a mean.")
    lognormal: Lognormal | None = Field(default=None, description="Short for most, with a long tail.")
    bimodal: Bimodal | None = Field(
        default=None, description="One time for most requests, another for a share of them."
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, Mapping | ServiceTime):
            return value
        return {"constant": parse_duration(value)}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Say that a duration will do."""
        mapping = handler.resolve_ref_schema(handler(core))
        short = next(form for form in mapping["properties"]["constant"]["anyOf"] if form.get("type") != "null")
        return {"description": mapping.pop("description"), "anyOf": [short, mapping]}


def _shares(given: Mapping[str, Any]) -> str | None:
    """Want no more failures than requests."""
    shares = [value for key, value in given.items() if key != "probes" and isinstance(value, float)]
    return "has shares that add up to more than 100%" if sum(shares) > 1.0 + 1e-9 else None


class Failures(Model):
    """What becomes of requests besides an answer. The shares are of all requests that reach the instance."""

    rules = (_shares,)

    errors: Share = Field(default=0.0, description="Answered with 500, after the usual time.")
    refused: Share = Field(default=0.0, description="The connection is refused, at once.")
    resets: Share = Field(default=0.0, description="The connection breaks before the response, at once.")
    hangs: Share = Field(default=0.0, description="Never answered: service.timeouts.response_head ends them.")
    probes: Bool = Field(
        default=False,
        description="true: probes meet errors and resets, too. false: they only meet what is refused or hangs.",
    )


class Group(Model):
    """One endpoint, or several that are alike."""

    count: Annotated[Int, Field(ge=1, le=MOST_ENDPOINTS)] = Field(
        default=1, description="How many there are; more than one are called NAME-1, NAME-2 and so on; 1 to 10000."
    )
    service_time: ServiceTime = Field(description="How long one works on a request.")
    concurrency: Annotated[Int, Field(ge=0, le=1_000_000)] = Field(
        default=0,
        description="How many requests one works on at a time, 0 to 1000000; the others wait in it, first come, first "
        "served. 0: all that come, at full speed each.",
    )
    queue: Annotated[Int, Field(ge=0, le=1_000_000)] | None = Field(
        default=None,
        description="How many requests may wait in one; a further one is answered with 503 at once; 0 to 1000000. Left "
        "out: no limit.",
    )
    weight: Annotated[Int, Field(ge=0, le=65535)] = Field(
        default=1, description="The weight that the registry tells, 0 to 65535."
    )
    zone: str = Field(default="", description="The zone that the registry tells.")
    priority: Annotated[Int, Field(ge=0, le=100)] = Field(
        default=0, description="A higher number is for when too few endpoints before it are healthy, 0 to 100."
    )
    distance: Duration = Field(default=0.0, description="How long a request and its answer are on the way, together.")
    failures: Failures = Field(default=Failures(), description="What becomes of requests besides an answer.")


class RateChange(Model):
    """The arrival rate becomes another one."""

    at: Duration = Field(description="When that begins.")
    rate: Rate = Field(description="The requests a second from then on; 0 to 1000000.")
    over: Duration = Field(default=0.0, description="How long it takes until this rate is reached, evenly. 0s: a jump.")


class Arrivals(Model):
    """When requests come. They do not wait for each other's answers: an open loop."""

    rate: Rate = Field(description="The requests a second, of all proxies together; 0 to 1000000.")
    process: Literal["poisson", "even"] = Field(
        default="poisson",
        description="poisson: as from many clients who do not know of each other. even: like the ticks of a clock.",
    )
    changes: tuple[RateChange, ...] = Field(
        default=(), description="When the rate changes, in the order of time: bursts and ramps."
    )


class Clients(Model):
    """Who asks, for balancers that send the same to the same endpoint."""

    count: Annotated[Int, Field(ge=1, le=1_000_000)] = Field(
        default=1000,
        description="How many clients there are; each has an address, a path, headers and cookies of its own; 1 to "
        "1000000.",
    )
    skew: Skew = Field(
        default=0.0,
        description="How much more the busiest ask: the k-th client's share falls with k to this power (Zipf). 0: all "
        "ask as often; 0 to 10.",
    )


class Registry(Model):
    """How soon a proxy knows of a change of the set of endpoints."""

    delay: Duration = Field(default=0.0, description="How long it takes at least.")
    spread: Duration = Field(
        default=0.0, description="How much longer it takes at most: each proxy has a part of it, at random."
    )


def _ends_after(given: Mapping[str, Any]) -> str | None:
    """Want an event to last, and to do something."""
    at, until = given.get("at"), given.get("until")
    if isinstance(at, float) and isinstance(until, float) and until <= at:
        return "must have an until that is after at"
    return None if any(key in given for key in DISTURBANCES) else f"must have one of {', '.join(DISTURBANCES)}"


class Event(Model):
    """What befalls some endpoints for a time."""

    rules = (_ends_after,)

    at: Duration = Field(description="When it begins.")
    until: Duration | None = Field(default=None, description="When it is over. Left out: never.")
    endpoints: Names = Field(description="Whom it befalls: a name, or a list of them; a group's name is all of it.")
    slower: Times | None = Field(
        default=None, description="So many times as long they take for what they begin to work on; 0.001 to 1000000."
    )
    service_time: ServiceTime | None = Field(default=None, description="Or they take as long as this.")
    stalled: Literal[True] | None = Field(
        default=None, description="true: they accept requests, and work on none: a pause for garbage collection."
    )
    down: Literal[True] | None = Field(
        default=None,
        description="true: they die, with all that they have under way, and refuse connections. The registry does not "
        "notice.",
    )
    failures: Failures | None = Field(default=None, description="What becomes of requests besides an answer meanwhile.")


class Cold(Model):
    """What has just started is slow."""

    slower: Times = Field(description="So many times as long it takes for a request; 0.001 to 1000000.")
    lasting: PositiveDuration = Field(description="How long it is so.")


class Rollout(Model):
    """A rolling restart: out of the registry, drained, gone; then a new one joins in its place; then the next."""

    at: Duration = Field(description="When it begins.")
    endpoints: Names = Field(description="Who is restarted: a name, or a list of them; a group's name is all of it.")
    at_once: Annotated[Int, Field(ge=1, le=MOST_ENDPOINTS)] = Field(
        default=1, description="How many at a time; 1 to 10000."
    )
    drain: Duration = Field(
        default=5.0,
        description="How long one goes on after it was taken out of the registry. Then it is gone, with all it has "
        "under way.",
    )
    start: Duration = Field(default=1.0, description="How long it takes from there until the new one is registered.")
    pause: Duration = Field(default=0.0, description="How long it takes from there until the next are taken out.")
    cold: Cold | None = Field(default=None, description="How slow a new one is at first. Left out: not at all.")


class SimulatedService(Service):
    """What the proxies are told of the service, as in the configuration: health, retries, time-outs and the like."""

    discovery: Sources = Field(
        default=Discovery.model_validate({"static": ["127.0.0.1:1"]}), description="Not simulated: see endpoints."
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Leave out what is not simulated."""
        mapping = handler.resolve_ref_schema(handler(core))
        mapping["properties"] = {key: form for key, form in mapping["properties"].items() if key not in NOT_SIMULATED}
        return mapping


class Scenario(Model):
    """A world to try balancers in."""

    model_config = ConfigDict(title="pointsman scenario")

    title: str = Field(default="", description="What it is about, for the report.")
    policies: tuple[Balancer, ...] = Field(
        default=tuple(Balancer(type=name) for name in ("weighted_round_robin", "least_request", "peak_ewma")),
        min_length=1,
        description="The balancers to compare, as in the configuration: a name, or a mapping with type and options. "
        "The first is what the others are measured against. --policy on the command line takes their place.",
    )
    duration: PositiveDuration | None = Field(
        default=None, description="How long requests come, a day at most; what is under way then is waited for."
    )
    requests: Annotated[Int, Field(ge=1, le=MOST_REQUESTS)] | None = Field(
        default=None,
        description="How many requests come, 1 to 10000000. Of duration and requests one is needed; with both, what is "
        "reached first ends it.",
    )
    warmup: Duration = Field(
        default=0.0, description="How much of the beginning is left out of the figures; the plots show it."
    )
    seed: Annotated[Int, Field(ge=0)] = Field(
        default=1, description="What all that is random follows from: the same seed, the same figures."
    )
    proxies: Annotated[Int, Field(ge=1, le=MOST_PROXIES)] = Field(
        default=1,
        description="How many proxies stand side by side, each with a view of its own, and with the same share of the "
        "requests; 1 to 100.",
    )
    arrivals: Arrivals = Field(description="When requests come.")
    clients: Clients = Field(default=Clients(), description="Who asks.")
    registry: Registry = Field(default=Registry(), description="How soon proxies know of a change.")
    service: SimulatedService = Field(
        default=SimulatedService(),
        description="What the proxies are told, as of a service in the configuration: health, retries, timeouts.",
    )
    endpoints: FrozenMapping[ServiceName, Group] = Field(
        description="The endpoints, by name: 1 to 128 letters, digits, '.', '_' or '-'.",
        json_schema_extra={"additionalProperties": False},
    )
    events: tuple[Event, ...] = Field(
        default=(), description="What befalls endpoints: slowness, pauses, failures, death."
    )
    rollouts: tuple[Rollout, ...] = Field(default=(), description="Rolling restarts.")
