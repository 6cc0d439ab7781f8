"""Every key of a configuration: its name, what it means, its default.

`Config` is the root, at the end. The descriptions are what `pointsman schema` prints: they are written for the
person who edits the file. What one part of the file says of another (a route's service must exist) is in references.py.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError

from config.frozen import FrozenMapping, Model, one_of, thaw
from config.statuses import Statuses
from config.texts import ConsulUrl, NotEmpty, ProbeHost, ProbePath, RouteHost, RoutePath, ServiceName, Token
from config.together import Rule, one_probe, one_source, one_token, repeated
from config.units import (
    AddressText,
    Bind,
    BindText,
    Duration,
    PathText,
    PositiveDuration,
    Share,
    Size,
    TcpBindText,
    at_least,
    at_most,
    format_duration,
    format_size,
)

KIBI = 1024
Int = Annotated[int, Field(strict=True)]
Port = Annotated[Int, Field(ge=1, le=65535)]
Interval = Annotated[Duration, at_least(0.01, format_duration)]
HeadSize = Annotated[Size, at_least(1, format_size), at_most(KIBI * KIBI, format_size)]


class Listener(Model):
    """An address on which requests are accepted."""

    bind: BindText = Field(
        description="Where to listen: host:port, [ipv6]:port, :port for all addresses of the machine, or unix:/path. "
        "Port 0 lets the system choose one."
    )


class Route(Model):
    """A rule from requests to a service. The first route of the list that matches wins."""

    host: RouteHost | None = Field(
        default=None,
        description="The Host of the requests, without a port, in any case: shop.example.com for that name alone, "
        "*.example.com for every name below example.com. Left out: any host.",
    )
    path: RoutePath | None = Field(
        default=None,
        description="The beginning of the requests' path, in whole segments: /api takes /api and /api/v1, not /apis. "
        "Left out: any path.",
    )
    service: ServiceName = Field(description="The service that such requests go to: a name under services.")


class StaticInstance(Model):
    """One instance of a service, written down here. `host:port` alone stands for {address: host:port}."""

    address: AddressText = Field(description="Where the instance listens: host:port or [ipv6]:port.")
    id: NotEmpty | None = Field(
        default=None,
        description="Its identity in metrics, logs and the admin API. What is known of its health is kept as long as "
        "this stays the same. Default: its address.",
    )
    weight: Annotated[Int, Field(ge=0, le=65535)] = Field(
        default=1, description="Its share of requests relative to the other instances, 0 to 65535; 0: no new requests."
    )
    zone: str = Field(
        default="", description="The zone it runs in, for people and for balancers that prefer near ones."
    )
    tags: tuple[str, ...] = Field(default=(), description="Labels, for people and for balancers of your own.")
    metadata: FrozenMapping[str, str] = Field(
        default_factory=dict,
        validate_default=True,
        description="Names and values, for people and for balancers of your own.",
    )

    @property
    def identity(self) -> str:
        """The given id, else the address."""
        return str(self.address) if self.id is None else self.id

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"address": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Say that `host:port` will do."""
        mapping = handler.resolve_ref_schema(handler(core))
        description = mapping.pop("description")
        return {"description": description, "anyOf": [mapping["properties"]["address"], mapping]}


def _distinct(instances: tuple[StaticInstance, ...]) -> tuple[StaticInstance, ...]:
    twice: list[InitErrorDetails] = [
        {"type": PydanticCustomError("sentence", message), "loc": (place,), "input": None}
        for place, message in repeated(instance.identity for instance in instances)
    ]
    if twice:
        raise ValidationError.from_exception_data("static", twice)
    return instances


def _obey(rule: Rule, part: Model) -> None:
    if message := rule({key for key in part.model_fields_set if getattr(part, key) is not None}):
        raise ValueError(message)


class Consul(Model):
    """A service in Consul, watched by blocking queries: a change arrives as soon as Consul knows it."""

    service: NotEmpty = Field(description="The service's name in Consul.")
    address: ConsulUrl = Field(
        default="http://127.0.0.1:8500", description="The URL of the Consul agent, best the one on this machine."
    )
    token: Token | None = Field(
        default=None,
        description="The ACL token to ask with; it needs service:read and node:read. Write ${NAME} to take it from the "
        "environment. Left out: none.",
    )
    token_file: PathText | None = Field(
        default=None,
        description="A file that holds the ACL token, instead of token. A relative path starts at this file's folder.",
    )
    datacenter: str = Field(default="", description="The datacenter to ask for. Empty: the agent's own.")
    tags: tuple[str, ...] = Field(default=(), description="Only instances that have all of these tags are used.")
    filter: str = Field(
        default="", description='A Consul filter expression, such as Service.Meta.version == "2". Empty: none.'
    )

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        _obey(one_token, self)
        return self


class Discovery(Model):
    """Where a service's instances are found: exactly one of static, file and consul."""

    model_config = one_of("static", "file", "consul")

    static: Annotated[tuple[StaticInstance, ...], AfterValidator(_distinct)] | None = Field(
        default=None,
        description="The instances, written down here: a list of host:port, or of mappings with more keys.",
    )
    file: PathText | None = Field(
        default=None,
        description="A YAML or JSON file with a list of instances in the form of static, followed as it changes. "
        "A relative path starts at this file's folder.",
    )
    consul: Consul | None = Field(default=None, description="A service in Consul.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        _obey(one_source, self)
        return self


class Balancer(Model):
    """The policy that picks an instance. A name alone stands for {type: name}; other keys are its options."""

    type: str = Field(
        description="The policy's name: weighted_round_robin, round_robin, weighted_random, random, or one of your "
        "own, from a package that registers it under the entry points pointsman.balancers."
    )
    options: FrozenMapping[str, Any] = Field(default_factory=dict, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _gather_options(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"type": value}
        if not isinstance(value, Mapping):
            return value
        rest = {key: item for key, item in value.items() if key != "type"}
        if rest.keys() == {"options"} and isinstance(rest["options"], Mapping):
            return value  # from code: Balancer(type=…, options=…)
        return {**({"type": value["type"]} if "type" in value else {}), "options": rest}

    @model_serializer
    def _as_written(self) -> str | dict[str, Any]:
        return {"type": self.type, **thaw(self.options)} if self.options else self.type

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Say that a name will do, and that options stand beside the type."""
        mapping = handler.resolve_ref_schema(handler(core))
        description = mapping.pop("description")
        del mapping["properties"]["options"]
        mapping["additionalProperties"] = True
        return {"description": description, "anyOf": [mapping["properties"]["type"], mapping]}


class Probe(Model):
    """A check that we make of every instance: exactly one of http and tcp."""

    model_config = one_of("http", "tcp")

    http: ProbePath | None = Field(
        default=None, description="Pass when a GET of this path, such as /healthz, is answered with an expected status."
    )
    tcp: Literal[True] | None = Field(default=None, description="true: pass when a connection is accepted.")
    interval: Interval = Field(
        default=5.0, description="The time from one probe of an instance to the next; 10ms or more."
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
    host: ProbeHost = Field(
        default="", description="The Host header of the probe. Empty: the instance's address. Only with http."
    )
    port: Port | None = Field(default=None, description="The port to probe. Left out: the instance's own.")
    jitter: Share = Field(
        default=0.1,
        description="How far each interval strays at random, so that probes never run in step; 0% to 100%.",
    )

    def expects(self, status: int) -> bool:
        """Tell whether an answer of this status passes."""
        return any(first <= status <= last for first, last in self.expect)

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        _obey(one_probe, self)
        return self


class Health(Model):
    """How it is found out which instances work."""

    probe: Probe | None = Field(
        default=None, description="The check to make of every instance. Left out: none is made."
    )
    panic_threshold: Share = Field(
        default=0.5,
        description="When less than this share of a service's instances is healthy, health is ignored and all are "
        "used: an answer from a doubtful instance beats a crowd on the few that are left. 0% never does so.",
    )


class Guard(Model):
    """What keeps a registry in trouble from emptying a service."""

    hold: Duration = Field(
        default=60.0,
        description="How long an empty answer that follows a break in the watch is held back in favour of the last "
        "good set; 0s accepts it at once.",
    )


class Service(Model):
    """A name that routes send requests to, and the instances behind it."""

    discovery: Discovery = Field(description="Where the instances are found.")
    balancer: Balancer = Field(default=Balancer(type="weighted_round_robin"), description="The policy that picks one.")
    health: Health = Field(default=Health(), description="How it is found out which instances work.")
    guard: Guard = Field(default=Guard(), description="What keeps a registry in trouble from emptying the service.")


class EmbeddedRegistry(Model):
    """A small registry with Consul's HTTP API inside this process, for when there is no other."""

    bind: TcpBindText = Field(
        default=Bind("127.0.0.1", 8500), description="Where its HTTP API listens; not a unix socket."
    )
    data_dir: PathText = Field(
        default=Path("registry"),
        validate_default=True,
        description="The folder in which it keeps what was registered. A relative path starts at this file's folder.",
    )


class Admin(Model):
    """The admin API and the metrics, for operators. It has no password: do not bind it where strangers come by."""

    bind: BindText = Field(description="Where it listens; 127.0.0.1:9900 keeps it to this machine.")


class Log(Model):
    """What is logged, and how it looks."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="The least that is logged.")
    format: Literal["json", "text"] = Field(
        default="json", description="json: one JSON object a line, for machines; text: for people."
    )


class Timeouts(Model):
    """How long each wait may last. 0s means no limit, except for request_head and connect, which need one."""

    request_head: PositiveDuration = Field(
        default=10.0, description="From the first byte of a request until its line and headers are complete."
    )
    body_idle: Duration = Field(default=30.0, description="Between two pieces of a request's body.")
    connect: PositiveDuration = Field(default=3.0, description="Until an instance accepts a connection.")
    response_head: Duration = Field(
        default=30.0, description="From the end of a request until the headers of the instance's response."
    )
    stream_idle: Duration = Field(default=300.0, description="Between two pieces of a response's body.")
    keepalive: Duration = Field(
        default=75.0, description="How long a client's connection may stay open without a request."
    )
    upstream_keepalive: Duration = Field(
        default=50.0,
        description="How long an unused connection to an instance is kept. Keep it below the instances' own limit, or "
        "a request may meet a connection that is just being closed.",
    )


class Limits(Model):
    """How large a request's head may be; a larger one is refused."""

    request_line: HeadSize = Field(
        default=8 * KIBI, description="The request line, which holds the method and the URL; 1B to 1MiB."
    )
    headers: HeadSize = Field(default=32 * KIBI, description="All headers together; 1B to 1MiB.")
    header_count: Annotated[Int, Field(ge=1, le=10_000)] = Field(
        default=100, description="The number of headers; 1 to 10000."
    )


class Config(Model):
    """The configuration of pointsman."""

    listeners: tuple[Listener, ...] = Field(min_length=1, description="The addresses on which requests are accepted.")
    routes: tuple[Route, ...] = Field(
        min_length=1, description="Which requests go to which service. The first route that matches wins."
    )
    services: FrozenMapping[ServiceName, Service] = Field(
        description="The services, by name: 1 to 128 letters, digits, '.', '_' or '-'.",
        json_schema_extra={"additionalProperties": False},
    )
    registry: EmbeddedRegistry | None = Field(
        default=None, description="The embedded registry; {} runs it with its defaults. Left out: it does not run."
    )
    admin: Admin | None = Field(default=None, description="The admin API and the metrics. Left out: there are none.")
    log: Log = Field(default=Log(), description="What is logged.")
    timeouts: Timeouts = Field(default=Timeouts(), description="How long each wait may last.")
    limits: Limits = Field(default=Limits(), description="How large a request's head may be.")
    drain_timeout: Duration = Field(
        default=30.0, description="When stopping, how long the requests in flight may take to finish."
    )
