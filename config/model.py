"""The top of a configuration: its keys, what each means, its default.

`Config` is the root, at the end. The descriptions are what `pointsman schema` prints: they are written for the
person who edits the file. What is below a key has a file of its own: listener.py, route.py, service.py and so on; what
one part of the file says of another (a route's service must exist) is in references.py.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from config.acme import Acme
from config.declaring import ConfigDict, Field, PydanticCustomError, ValidationInfo, field_validator, model_validator
from config.frozen import FrozenMapping, Model
from config.listener import FORWARDED_TEXT, TRUSTED_PROXIES_TEXT, Forwarded, Listener
from config.logs import AccessLog, Log
from config.register import Register, Registered
from config.registries.consul import ConsulCatalog
from config.reload import Reload
from config.route import Route
from config.service import Service, Settings
from config.split import Split
from config.takeover import Takeover
from config.tcp_references import all_tcp
from config.texts import NotEmpty, ServiceName
from config.together import repeated
from config.traffic import (
    Limits,
    Retries,
    Timeouts,
)
from config.trusted import TrustedList, TrustedProxies
from config.units import (
    Bind,
    BindText,
    Bool,
    Duration,
    PathText,
    TcpBindText,
    show,
)

MOST_WORKERS = 256


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
    """Say in the JSON schema that catalogs stand in for routes and services, and TCP listeners for routes."""
    own = {"routes", "services"}
    schema["required"] = [key for key in schema["required"] if key not in own]
    schema["if"] = {"required": ["catalogs"], "properties": {"catalogs": {"minItems": 1}}}
    schema["else"] = {
        "required": ["services"],
        "if": {"properties": {"listeners": {"items": {"required": ["tcp"]}}}},
        "else": {"required": ["routes"], "properties": {"routes": {"minItems": 1}}},
    }


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
        description="What becomes of which requests. The first route that matches wins. May be left out where every "
        "listener has tcp."
    )
    splits: FrozenMapping[ServiceName, Split] = Field(
        default_factory=dict,
        validate_default=True,
        description="Requests shared between services by weight, by names of their own, which routes name as split.",
        json_schema_extra={"additionalProperties": False},
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
    acme: Acme | None = Field(
        default=None,
        description="The authority that listeners with tls.acme have their certificates from. Left out: none.",
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
    trusted_proxies: TrustedList = Field(default=TrustedProxies(), description=TRUSTED_PROXIES_TEXT)
    forwarded: Forwarded = Field(default="x_forwarded", description=FORWARDED_TEXT)
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
    takeover: Takeover | None = Field(
        default=None,
        description="How a new process takes the place of this one, without a refused or broken connection; {} takes "
        "the defaults. Left out: it does not.",
    )
    workers: Annotated[int, Field(ge=1, le=MOST_WORKERS)] | Literal["auto"] = Field(
        default=1,
        description="How many processes accept clients. 1: this one does everything. More: one process follows the "
        "registries, probes and answers operators, and so many others route requests. auto: as many as there are "
        "processors for us.",
    )
    reload: Reload = Field(default=Reload(), description="When this file is read again while it is at work.")

    @model_validator(mode="before")
    @classmethod
    def _left_out(cls, value: Any) -> Any:
        """With a catalog, take no routes and no services where none are given; without HTTP, no routes."""
        if isinstance(value, Mapping) and value.get("catalogs"):
            return {"routes": (), "services": {}, **value}
        if isinstance(value, Mapping) and all_tcp(value.get("listeners")):
            return {"routes": (), **value}
        return value

    @field_validator("routes")
    @classmethod
    def _one_at_least(cls, routes: tuple[Route, ...], info: ValidationInfo) -> tuple[Route, ...]:
        http = any(listener.tcp is None for listener in info.data.get("listeners", ()))
        if not routes and info.data.get("catalogs") == () and http:
            raise PydanticCustomError("sentence", "must have at least one item")
        return routes

    @field_validator("workers", mode="before")
    @classmethod
    def _some(cls, count: object) -> object:
        """Say in one sentence what pydantic would in one for each form that it may have."""
        number = int(count) if isinstance(count, str) and count.isdecimal() else count
        if number != "auto" and (type(number) is not int or not 1 <= number <= MOST_WORKERS):
            raise ValueError(f"must be a whole number from 1 to {MOST_WORKERS}, or auto, not {show(count)}")
        return number

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
