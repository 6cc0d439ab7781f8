"""Every key of a configuration: its name, what it means, its default.

`Config` is the root, at the end. The descriptions are what `pointsman schema` prints: they are written for the
person who edits the file. The keys of the traffic are in traffic.py, those of the logs in logs.py, those of the probe
in probe.py, those of the registries in discovery.py and registries/; what one part of the file says of another (a
route's service must exist) is in references.py.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from config.balancing import Override, SlowStart, Sticky, Subset, Zones
from config.discovery import Discovery, Sources
from config.frozen import FrozenMapping, Model, thaw
from config.logs import AccessLog, Log
from config.probe import Probe
from config.register import Register, Registered
from config.registries.consul import ConsulCatalog
from config.texts import NotEmpty, RouteHost, RoutePath, ServiceName
from config.together import repeated
from config.traffic import (
    Limits,
    ListenerLimits,
    ListenerTimeouts,
    Retries,
    ServiceLimits,
    ServiceRetries,
    ServiceTimeouts,
    Timeouts,
)
from config.trusted import TrustedList, TrustedProxies
from config.units import (
    Bind,
    BindText,
    Duration,
    Int,
    PathText,
    PositiveDuration,
    Share,
    TcpBindText,
)

Bool = Annotated[bool, Field(strict=True)]
Consecutive = Annotated[Int, Field(ge=0, le=1000)]
Forwarded = Literal["x_forwarded", "rfc7239", "both", "none"]

_TRUSTED_PROXIES = (
    "The proxies in front of this one, whose word about where a request came from is taken: IP addresses, networks "
    "such as 10.0.0.0/8, and unix for the clients of a unix socket. What others say of it is dropped."
)
_FORWARDED = (
    "Which headers tell the instance where a request came from: x_forwarded (X-Forwarded-For, -Proto and -Host), "
    "rfc7239 (Forwarded), both or none."
)


class Listener(Model):
    """An address on which requests are accepted."""

    bind: BindText = Field(
        description="Where to listen: host:port, [ipv6]:port, :port for all addresses of the machine, or unix:/path. "
        "Port 0 lets the system choose one."
    )
    timeouts: ListenerTimeouts = Field(
        default=ListenerTimeouts(), description="How long each wait for its clients may last."
    )
    limits: ListenerLimits = Field(
        default=ListenerLimits(), description="How large its requests may be, and how many connections it has."
    )
    trusted_proxies: TrustedList | None = Field(
        default=None,
        description=f"{_TRUSTED_PROXIES} Left out: as the top of the file has it.",
    )
    forwarded: Forwarded | None = Field(
        default=None, description=f"{_FORWARDED} Left out: as the top of the file has it."
    )
    allow_connect: Bool = Field(
        default=False,
        description="true: CONNECT is passed on to an instance, and becomes a tunnel once that answers with a 2xx. "
        "false: it gets a 405.",
    )
    allow_trace: Bool = Field(
        default=False, description="true: TRACE is passed on to an instance. false: it gets a 405."
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


class Balancer(Model):
    """The policy that picks an instance. A name alone stands for {type: name}; other keys are its options."""

    type: str = Field(
        description="The policy's name: weighted_round_robin, round_robin, weighted_random, random, least_request, "
        "peak_ewma, ring_hash, maglev, first, or one of your own, from a package that registers it under the entry "
        "points pointsman.balancers."
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


class Passive(Model):
    """What traffic tells of an endpoint: one whose requests keep failing is ejected for a time."""

    enabled: Bool = Field(default=True, description="false: no endpoint is ejected for what its requests met.")
    consecutive_5xx: Consecutive = Field(
        default=5,
        description="So many responses in a row with a status of 500 or more eject it; 0 to 1000. 0: they are not "
        "counted.",
    )
    consecutive_local_failures: Consecutive = Field(
        default=5,
        description="So many requests in a row without a whole response eject it: connections that failed or broke, "
        "time-outs, malformed responses; 0 to 1000. 0: they are not counted.",
    )
    consecutive_gateway_errors: Consecutive = Field(
        default=0,
        description="So many responses in a row with a status of 502, 503 or 504 eject it; 0 to 1000. 0: they are not "
        "counted by themselves.",
    )
    interval: PositiveDuration = Field(
        default=10.0,
        description="How long the endpoints are watched before they are compared with each other. For each that an "
        "endpoint was healthy one of its ejections is forgotten, and the next one is so much shorter.",
    )
    success_rate_factor: Annotated[float, Field(ge=0, le=10)] = Field(
        default=1.9,
        description="One whose share of requests that went well is this many standard deviations below the mean is "
        "ejected; 0 to 10. 0: they are not compared.",
    )
    success_rate_min_endpoints: Annotated[Int, Field(ge=2, le=1000)] = Field(
        default=5, description="They are compared when so many of them had enough requests; 2 to 1000."
    )
    success_rate_min_requests: Annotated[Int, Field(ge=1, le=1000000)] = Field(
        default=100, description="Enough requests in an interval for the comparison; 1 to 1000000."
    )
    failure_percentage: Share = Field(
        default=0.0, description="One of whose requests at least this share failed is ejected. 0%: none for that."
    )
    failure_percentage_min_endpoints: Annotated[Int, Field(ge=1, le=1000)] = Field(
        default=5, description="That counts when so many of them had enough requests; 1 to 1000."
    )
    failure_percentage_min_requests: Annotated[Int, Field(ge=1, le=1000000)] = Field(
        default=50, description="Enough requests in an interval for that; 1 to 1000000."
    )
    base_ejection_time: PositiveDuration = Field(
        default=30.0, description="How long the first ejection lasts; each further one lasts longer."
    )
    max_ejection_time: PositiveDuration = Field(
        default=300.0, description="How long an ejection lasts at the most; base_ejection_time, if that is longer."
    )
    ejection_jitter: Duration = Field(
        default=0.0, description="Up to so much is added to each ejection at random, so that not all end at once."
    )
    max_ejection_percent: Share = Field(
        default=0.1,
        description="The share of a service's endpoints that may be ejected at a time for what their requests met. "
        "One always may, as long as another is left.",
    )


class Health(Model):
    """How it is found out which instances work."""

    probe: Probe | None = Field(
        default=None, description="The check to make of every instance. Left out: none is made."
    )
    passive: Passive = Field(
        default=Passive(), description="What traffic tells of an endpoint. {enabled: false} does without."
    )
    panic_header: Bool = Field(
        default=False,
        description="true: responses have the header X-Pointsman-Panic: true while health is ignored.",
    )
    panic_threshold: Share = Field(
        default=0.5,
        description="When less than this share of a service's instances is healthy, health is ignored and all are "
        "used: an answer from a doubtful instance beats a crowd on the few that are left. 0% never does so.",
    )


class Guard(Model):
    """What keeps a registry in trouble from taking a service's instances away."""

    hold: Duration = Field(
        default=60.0,
        description="How long an answer that lost too many instances, or all of them, is held back when nothing shows "
        "that they went; 0s accepts it at once.",
    )
    max_shrink: Share = Field(
        default=0.5,
        description="How large a share of the instances may be gone at once before that is too many. 100%: only an "
        "empty answer is held back, which is the default for a file.",
    )


class Settings(Model):
    """What a service has beside its instances."""

    balancer: Balancer = Field(default=Balancer(type="weighted_round_robin"), description="The policy that picks one.")
    sticky: Sticky | None = Field(
        default=None,
        description="Clients go back to the instance that answered them before; {} takes the defaults. Left out: they "
        "do not.",
    )
    slow_start: SlowStart | None = Field(
        default=None,
        description="What an instance gets at first that joins others or is readmitted; {} takes the defaults. Left "
        "out: its whole share at once.",
    )
    zones: Zones | None = Field(default=None, description="Which zone is preferred. Left out: none.")
    subset: Subset | None = Field(
        default=None, description="Which requests go to a part of the instances. Left out: all go to all."
    )
    overrides: tuple[Override, ...] = Field(
        default=(), description="What is to count of some instances against what the registry says, in this order."
    )
    health: Health = Field(default=Health(), description="How it is found out which instances work.")
    guard: Guard = Field(
        default=Guard(), description="What keeps a registry in trouble from taking the service's instances away."
    )
    timeouts: ServiceTimeouts = Field(
        default=ServiceTimeouts(), description="How long each wait of its requests may last."
    )
    limits: ServiceLimits = Field(
        default=ServiceLimits(), description="How large its requests may be, and how many may be under way or wait."
    )
    retries: ServiceRetries = Field(default=ServiceRetries(), description="What is tried again on another endpoint.")


class Service(Settings):
    """A name that routes send requests to, and the instances behind it."""

    discovery: Sources = Field(
        description="Where the instances are found: one registry, or a list of several, whose instances are joined."
    )

    @property
    def sources(self) -> tuple[Discovery, ...]:
        """The registries in which the instances are found; one for most services."""
        return (self.discovery,) if isinstance(self.discovery, Discovery) else self.discovery


class Catalog(Model):
    """A registry whose own entries say which services and routes there are."""

    name: ServiceName = Field(
        default="consul", description="The catalog's name: its services are called after it, as in web@consul."
    )
    consul: ConsulCatalog = Field(description="The catalog of Consul; {} takes its defaults.")
    tags: Annotated[tuple[Literal["fabio", "traefik"], ...], Field(min_length=1)] = Field(
        default=("fabio", "traefik"),
        description="Whose tags are read. fabio: urlprefix-host/path; traefik: traefik.http.routers.NAME.rule and what "
        "belongs to it, of instances with traefik.enable=true.",
    )
    entrypoints: tuple[NotEmpty, ...] = Field(
        default=(),
        description="Of Traefik's routers that name entry points, only those that name one of these are used. Empty: "
        "all are.",
    )
    settings: Settings = Field(default=Settings(), description="What each of its services has beside its instances.")


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


def _or_catalogs(schema: dict[str, Any]) -> None:
    """Say in the JSON schema that catalogs stand in for routes and services."""
    own = {"routes", "services"}
    schema["required"] = [key for key in schema["required"] if key not in own]
    schema["if"] = {"required": ["catalogs"], "properties": {"catalogs": {"minItems": 1}}}
    schema["else"] = {"required": sorted(own), "properties": {"routes": {"minItems": 1}}}


class Config(Model):
    """The configuration of pointsman."""

    model_config = ConfigDict(serialize_by_alias=True, json_schema_extra=_or_catalogs)

    listeners: tuple[Listener, ...] = Field(min_length=1, description="The addresses on which requests are accepted.")
    catalogs: tuple[Catalog, ...] = Field(
        default=(),
        description="Registries whose own entries say which services and routes there are, beside those of this file. "
        "With one of them, routes and services may be left out.",
    )
    routes: tuple[Route, ...] = Field(
        description="Which requests go to which service. The first route that matches wins."
    )
    services: FrozenMapping[ServiceName, Service] = Field(
        description="The services, by name: 1 to 128 letters, digits, '.', '_' or '-'.",
        json_schema_extra={"additionalProperties": False},
    )
    registry: EmbeddedRegistry | None = Field(
        default=None, description="The embedded registry; {} runs it with its defaults. Left out: it does not run."
    )
    # Every model of pydantic's has a `register` already, which it has from abc.ABCMeta.
    to_register: Registered | None = Field(
        default=None,
        alias="register",
        description="What this process registers while it runs, and takes out first when it is stopped: itself, or the "
        "process beside it. A mapping, or a list of them. Left out: nothing.",
    )
    admin: Admin | None = Field(default=None, description="The admin API and the metrics. Left out: there are none.")
    log: Log = Field(default=Log(), description="What is logged.")
    access_log: AccessLog | None = Field(
        default=None, description="A line for each request; {} takes the defaults. Left out: none is written."
    )
    timeouts: Timeouts = Field(default=Timeouts(), description="How long each wait may last.")
    limits: Limits = Field(
        default=Limits(), description="How large a request may be, and how much may be under way at a time."
    )
    retries: Retries = Field(default=Retries(), description="What is tried again on another endpoint.")
    trusted_proxies: TrustedList = Field(default=TrustedProxies(), description=_TRUSTED_PROXIES)
    forwarded: Forwarded = Field(default="x_forwarded", description=_FORWARDED)
    request_id: Literal["keep", "make", "none"] = Field(
        default="keep",
        description="What becomes of X-Request-Id. keep: a client's is passed on, and one is made where it is missing "
        "or malformed; make: one is always made; none: none is made, and a well-formed one of a client's is passed on.",
    )
    state_dir: PathText | None = Field(
        default=None,
        description="The folder in which the last good set of each service is kept, for a start while its registry is "
        "away. A relative path starts at this file's folder. Left out: none is kept.",
    )
    state_max_age: Duration = Field(
        default=86400.0, description="A set in state_dir that is older than this is not used; 0s: however old it is."
    )
    ready_from_state: Bool = Field(
        default=False,
        description="true: a service whose set comes from state_dir counts as ready before its registry has answered.",
    )
    drain_timeout: Duration = Field(
        default=30.0, description="When stopping, how long the requests in flight may take to finish."
    )

    @model_validator(mode="before")
    @classmethod
    def _left_out(cls, value: Any) -> Any:
        """With a catalog, take no routes and no services where none are given."""
        if isinstance(value, Mapping) and value.get("catalogs"):
            return {"routes": (), "services": {}, **value}
        return value

    @field_validator("routes")
    @classmethod
    def _one_at_least(cls, routes: tuple[Route, ...], info: ValidationInfo) -> tuple[Route, ...]:
        if not routes and info.data.get("catalogs") == ():
            raise PydanticCustomError("sentence", "must have at least one item")
        return routes

    @field_validator("catalogs")
    @classmethod
    def _distinct(cls, catalogs: tuple[Catalog, ...]) -> tuple[Catalog, ...]:
        for place, message in repeated(catalog.name for catalog in catalogs):
            raise ValueError(f"item {place} {message}; give each a name of its own")
        return catalogs

    @property
    def registered(self) -> tuple[Register, ...]:
        """What is to be registered; nothing for most."""
        if self.to_register is None:
            return ()
        return (self.to_register,) if isinstance(self.to_register, Register) else self.to_register
