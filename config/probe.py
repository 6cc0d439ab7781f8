"""The keys of the check that we make of every instance of a service."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from config.declaring import AfterValidator, CoreSchema, Field, GetJsonSchemaHandler, JsonSchemaValue, model_validator
from config.errors import listed
from config.frozen import FrozenMapping, Model, one_of
from config.statuses import Statuses
from config.texts import HeaderName, HeaderValue, NotEmpty, ProbeHost, ProbePath
from config.units import Duration, Int, Port, PositiveDuration, Share, at_least, format_duration, show

_WAYS = ("http", "tcp", "grpc")
_OF_HTTP = ("body", "expect", "headers", "host", "method")  # grpc has a host too
_LONGEST_NAME = 256  # characters of a gRPC service's name


def one_probe(given: Mapping[str, Any]) -> str | None:
    """Want exactly one kind of probe, and none of the keys of another."""
    ways = [key for key in _WAYS if key in given]
    if not ways:
        return f"must have one of {listed(_WAYS)}"
    if len(ways) > 1:
        return f"has {' and '.join(ways)}: keep one"
    misplaced = [key for key in _OF_HTTP if key in given and (key, ways[0]) != ("host", "grpc")]
    if ways != ["http"] and misplaced:
        return f"has {' and '.join(misplaced)} with {ways[0]}: leave out what only http probes have"
    return None


def some_body(given: Mapping[str, Any]) -> str | None:
    """Want no body of answers that have none."""
    return (
        "has body with method HEAD, whose answers have none"
        if "body" in given and given.get("method") == "HEAD"
        else None
    )


def one_host(given: Mapping[str, Any]) -> str | None:
    """Want one Host."""
    headers = given.get("headers")
    named = isinstance(headers, Mapping) and any(str(name).lower() == "host" for name in headers)
    return "has a header Host: write it as host" if named else None


def one_match(given: Mapping[str, Any]) -> str | None:
    """Want exactly one way to look at a body."""
    ways = [key for key in ("contains", "matches") if key in given]
    if not ways:
        return "must have contains or matches"
    return "has both contains and matches: keep one" if len(ways) > 1 else None


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"must be a regular expression, not {show(text)}: {error}") from error
    return text


def _grpc_service(name: str) -> str:
    if len(name) > _LONGEST_NAME or not (name.isprintable() or not name):
        raise ValueError(f"must be a gRPC service such as shop.v1.Orders, or empty, not {show(name)}")
    return name


class BodyWanted(Model):
    """What the body of an answer must hold. A text alone stands for {contains: text}."""

    model_config = one_of("contains", "matches")
    rules = (one_match,)

    contains: NotEmpty | None = Field(default=None, description="A text that it holds, in this case.")
    matches: Annotated[NotEmpty, AfterValidator(_pattern)] | None = Field(
        default=None,
        description="A regular expression (Python's) that is found in it: ^ is its beginning, and (?m) and (?i) work.",
    )

    @model_validator(mode="before")
    @classmethod
    def _of_text(cls, value: Any) -> Any:
        return {"contains": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Say that a text will do."""
        mapping = handler.resolve_ref_schema(handler(core))
        description = mapping.pop("description")
        return {"description": description, "anyOf": [{"type": "string", "minLength": 1}, mapping]}


Interval = Annotated[Duration, at_least(0.01, format_duration)]


class Probe(Model):
    """A check that we make of every instance: exactly one of http, tcp and grpc."""

    model_config = one_of(*_WAYS)
    rules = (one_probe, some_body, one_host)

    http: ProbePath | None = Field(
        default=None,
        description="Pass when a request for this path, such as /healthz, is answered with an expected status.",
    )
    tcp: Literal[True] | None = Field(default=None, description="true: pass when a connection is accepted.")
    grpc: Annotated[str, AfterValidator(_grpc_service)] | None = Field(
        default=None,
        description="Pass when this gRPC service is SERVING, by the protocol grpc.health.v1; empty for the "
        "server as a whole.",
    )
    interval: Interval = Field(
        default=5.0, description="The time from one probe of an instance to the next; 10ms or more."
    )
    unhealthy_interval: Interval | None = Field(
        default=None,
        description="That time for an instance that is out, or whose last probe failed. Left out: as interval.",
    )
    idle_interval: Interval | None = Field(
        default=None,
        description="That time for the others while the service has no requests. Left out: as interval.",
    )
    idle_after: PositiveDuration = Field(
        default=60.0, description="How long a service is without a request before idle_interval counts."
    )
    timeout: Interval = Field(default=2.0, description="A probe that takes longer than this failed; 10ms or more.")
    rise: Annotated[Int, Field(ge=1, le=100)] = Field(
        default=2,
        description="So many probes in a row must pass before an instance that was out gets requests; 1 to 100.",
    )
    fall: Annotated[Int, Field(ge=1, le=100)] = Field(
        default=3, description="So many probes in a row must fail before an instance is taken out; 1 to 100."
    )
    initial: Literal["pass", "fail"] = Field(
        default="pass",
        description="What a new instance counts as before its first probes: pass gives it requests at once, "
        "fail waits until one passed.",
    )
    expect: Statuses = Field(
        default=((200, 399),),
        description="The statuses that pass: 200, 2xx, 200-399, or a list of those. Only with http.",
    )
    body: BodyWanted | None = Field(
        default=None,
        description="What else the answer needs to pass: a text that the first 16 KiB of its body hold, or a regular "
        "expression as {matches: ...}. Left out: any body will do. Only with http.",
    )
    method: Literal["GET", "HEAD", "OPTIONS", "POST"] = Field(
        default="GET", description="The method of the request: GET, HEAD, OPTIONS or POST. Only with http."
    )
    headers: FrozenMapping[HeaderName, HeaderValue] = Field(
        default_factory=dict,
        validate_default=True,
        description="More headers for the request, by name. Write ${NAME} to take a value from the environment. Only "
        "with http.",
    )
    host: ProbeHost = Field(
        default="",
        description="The Host header of the probe, with grpc its :authority. Empty: the instance's address. Not with "
        "tcp.",
    )
    port: Port | None = Field(default=None, description="The port to probe. Left out: the instance's own.")
    jitter: Share = Field(
        default=0.1,
        description="How far each interval strays at random, so that probes never run in step; 0% to 100%.",
    )

    def expects(self, status: int) -> bool:
        """Tell whether an answer of this status passes."""
        return any(first <= status <= last for first, last in self.expect)
