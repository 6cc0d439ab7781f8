"""The provider's side: what this process registers, of itself or of the process beside it, and where."""

import re
import socket
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from config.declaring import AfterValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema, field_validator
from config.errors import listed
from config.frozen import FrozenMapping, Model, Rule, one_of
from config.registries import etcd, zookeeper
from config.registries.waits import Patience
from config.statuses import Statuses
from config.texts import (
    ConsulUrl,
    EtcdPrefix,
    EurekaUrl,
    LoginPassword,
    NotEmpty,
    PasswordFile,
    ProbeHost,
    ProbePath,
    Token,
)
from config.together import one_login, one_token
from config.units import (
    Duration,
    Int,
    PathText,
    Port,
    PositiveDuration,
    at_least,
    at_most,
    format_duration,
    parse_address,
    show,
)

_OF_AN_INSTANCE = frozenset(
    {"service", "id", "address", "port", "tags", "metadata", "weight", "zone", "probe", "ttl", "deregister_delay"}
)  # the keys that name no registry
LONGEST_ID = 512  # characters
_ANYWHERE = frozenset({"0.0.0.0", "::"})


def one_way(given: Mapping[str, Any]) -> str | None:
    """Want exactly one kind of probe, and without http none of its keys."""
    ways = [key for key in ("http", "tcp", "none") if key in given]
    if len(ways) != 1:
        return f"has {' and '.join(ways)}: keep one" if ways else "must have one of http, tcp and none"
    misplaced = [key for key in ("expect", "host") if key in given]
    if ways != ["http"] and misplaced:
        return f"has {' and '.join(misplaced)} with {ways[0]}: leave out what only http probes have"
    return None


def one_target(given: Mapping[str, Any]) -> str | None:
    """Want exactly one registry."""
    kinds = [key for key in TARGETS if key in given]
    if not kinds:
        return f"must have one of {TARGETS_LISTED}"
    return f"has {' and '.join(kinds)}: keep one of {TARGETS_LISTED}" if len(kinds) > 1 else None


def some_weight(given: Mapping[str, Any]) -> str | None:
    """Want no weight that Consul refuses."""
    if "consul" in given and given.get("weight") == 0:
        return "has weight 0, which Consul does not take: use its maintenance for an instance without requests"
    return None


def _require_one(schema: dict[str, Any]) -> None:
    schema["oneOf"] = [{"required": [key]} for key in TARGETS]


def parse_own_address(value: str) -> str:
    """Read a name or an IP address that others can connect to."""
    try:
        host = parse_address(f"[{value}]:1" if ":" in value else f"{value}:1").host
    except ValueError:
        host = ""
    if not host or (":" in value and not re.fullmatch("[0-9A-Fa-f:.]+", value)):
        raise ValueError(f"must be a host name or an IP address without a port, such as 10.0.0.5, not {show(value)}")
    if host in _ANYWHERE:
        raise ValueError(f"must be an address that others can connect to, not {show(value)}")
    return host


OwnAddress = Annotated[
    str, AfterValidator(parse_own_address), WithJsonSchema({"type": "string", "minLength": 1, "examples": ["10.0.0.5"]})
]
Ttl = Annotated[Duration, at_least(1.0, format_duration), at_most(86400.0, format_duration)]
Consecutive = Annotated[Int, Field(ge=1, le=100)]


class OwnProbe(Model):
    """The check that decides whether the instance is registered: exactly one of http, tcp and none."""

    model_config = one_of("http", "tcp", "none")
    rules = (one_way,)

    http: ProbePath | None = Field(
        default=None, description="Pass when a GET of this path, such as /healthz, is answered with an expected status."
    )
    tcp: Literal[True] | None = Field(default=None, description="true: pass when a connection is accepted.")
    none: Literal[True] | None = Field(
        default=None, description="true: no probe; the instance is registered for as long as this process runs."
    )
    interval: Patience = Field(
        default=2.0,
        description="The time from one probe to the next; 10ms or more. Before the first one has passed it is 250ms at "
        "most.",
    )
    timeout: Patience = Field(default=2.0, description="A probe that takes longer than this failed; 10ms or more.")
    rise: Consecutive = Field(
        default=1, description="So many probes in a row must pass before the instance is registered; 1 to 100."
    )
    fall: Consecutive = Field(
        default=3, description="So many probes in a row must fail before the instance is taken out; 1 to 100."
    )
    expect: Statuses = Field(
        default=((200, 399),),
        description="The statuses that pass: 200, 2xx, 200-399, or a list of those. Only with http.",
    )
    host: ProbeHost = Field(
        default="", description="The Host header of the probe. Empty: the address that is probed. Only with http."
    )
    address: OwnAddress | None = Field(
        default=None, description="The address to probe. Left out: this machine's loopback address."
    )
    port: Port | None = Field(default=None, description="The port to probe. Left out: the instance's own.")

    def expects(self, status: int) -> bool:
        """Tell whether an answer of this status passes."""
        return any(first <= status <= last for first, last in self.expect)


class ConsulAgent(Model):
    """A Consul agent, best the one of this machine, or the embedded registry."""

    rules = (one_token,)

    address: ConsulUrl = Field(default="http://127.0.0.1:8500", description="The URL of the agent.")
    token: Token | None = Field(
        default=None,
        description="The ACL token to register with; it needs service:write. Write ${NAME} to take it from the "
        "environment. Left out: none.",
    )
    token_file: PathText | None = Field(
        default=None,
        description="A file that holds the ACL token, instead of token. A relative path starts at this file's folder.",
    )
    deregister_after: Ttl = Field(
        default=60.0,
        description="How long the agent keeps an instance that it has not heard of for its ttl, marked critical, "
        "before it drops it; Consul takes a minute or more for it.",
    )


class EtcdKey(Model):
    """A key in etcd, in the form that discovery from etcd reads."""

    rules = (one_login,)

    prefix: EtcdPrefix | None = Field(
        default=None,
        description="What the key begins with; what follows is the id. Left out: /services/, the service's name and /.",
    )
    endpoints: etcd.Endpoints = etcd.ENDPOINTS
    username: NotEmpty | None = Field(
        default=None,
        description="The user to ask as; it must be allowed to read and to write below the prefix. Left out: none.",
    )
    password: LoginPassword = None
    password_file: PasswordFile = None
    timeout: etcd.AnswerTime = 5.0


class ZooKeeperNode(Model):
    """A node in ZooKeeper, in one of the layouts that discovery from ZooKeeper reads. Its session lasts for the ttl."""

    rules = (one_login, zookeeper.one_endpoint)

    path: zookeeper.NodePath | None = Field(
        default=None, description="The path below which it is made. Left out: /services/ and the service's name."
    )
    layout: Literal["curator", "serverset", "nerve"] = Field(
        default="curator", description="How it is written down: as Curator's service discovery, Finagle or nerve do."
    )
    endpoint: NotEmpty | None = Field(
        default=None,
        description="With layout serverset: the additional endpoint that the address is too. Left out: none.",
    )
    hosts: zookeeper.Hosts = zookeeper.HOSTS
    username: zookeeper.Username | None = Field(
        default=None,
        description="Who registers, for ACLs of the scheme digest: nobody else may change the node. Left out: nobody.",
    )
    password: LoginPassword = None
    password_file: PasswordFile = None
    timeout: zookeeper.AnswerTime = 5.0


class EurekaApp(Model):
    """An application in Eureka, whose name is the service's."""

    rules = (one_login,)

    urls: Annotated[tuple[EurekaUrl, ...], Field(min_length=1)] = Field(
        default=("http://127.0.0.1:8761/eureka",),
        description="The URLs of the servers' APIs, with their paths, as for discovery; they are tried in turn.",
    )
    username: NotEmpty | None = Field(
        default=None, description="The user to ask as, by HTTP's basic authentication. Left out: none."
    )
    password: LoginPassword = None
    password_file: PasswordFile = None
    timeout: PositiveDuration = Field(
        default=5.0, description="How long an answer may take before the next server is asked."
    )


class Register(Model):
    """An instance of a service that this process registers: exactly one registry. For several, write a list."""

    model_config = ConfigDict(json_schema_extra=_require_one)
    rules = (one_target, some_weight)

    service: NotEmpty = Field(description="The service's name in the registry.")
    consul: ConsulAgent | None = Field(default=None, description="Register with a Consul agent; {} takes its defaults.")
    etcd: EtcdKey | None = Field(default=None, description="Register in etcd; {} takes its defaults.")
    eureka: EurekaApp | None = Field(default=None, description="Register in Eureka; {} takes its defaults.")
    zookeeper: ZooKeeperNode | None = Field(default=None, description="Register in ZooKeeper; {} takes its defaults.")
    id: NotEmpty | None = Field(
        default=None,
        description="The instance's identity in the registry. Left out: the service, the machine's name and the port.",
    )
    address: OwnAddress | None = Field(
        default=None,
        description="The address that others reach the instance at. Left out: the address from which this machine "
        "reaches the registry; with a Consul agent on this machine, the one that the agent tells.",
    )
    port: Port | None = Field(
        default=None, description="The instance's port. Left out: that of the first listener, so that it is pointsman."
    )
    tags: tuple[str, ...] = Field(default=(), description="Labels.")
    metadata: FrozenMapping[str, str] = Field(
        default_factory=dict, validate_default=True, description="Names and values."
    )
    weight: Annotated[Int, Field(ge=0, le=65535)] = Field(
        default=1, description="Its share of requests relative to the other instances, 0 to 65535."
    )
    zone: str = Field(default="", description="The zone it runs in.")
    probe: OwnProbe = Field(
        default=OwnProbe(tcp=True),
        description="The check that decides whether it is registered. Left out: a connection to its port.",
    )
    ttl: Ttl = Field(
        default=15.0,
        description="How long the registry keeps it without hearing of it, 1s to 1d; it hears three times as often.",
    )
    deregister_delay: Duration = Field(
        default=2.0,
        description="When stopping, how long to go on serving after it was taken out, so that all who send requests "
        "have noticed.",
    )

    @field_validator("id")
    @classmethod
    def _one_line(cls, value: str | None) -> str | None:
        if value and (not value.isprintable() or len(value) > LONGEST_ID):
            raise ValueError(f"must be one printable line of at most {LONGEST_ID} characters, not {show(value)}")
        return value

    @property
    def kind(self) -> str:
        """The registry's key: `consul`."""
        return next(key for key in TARGETS if getattr(self, key) is not None)

    def identity(self, port: int) -> str:
        """The given id, else one that is the same after a restart."""
        return f"{self.service}-{socket.gethostname()}-{port}" if self.id is None else self.id


# The registries, in the order in which errors and the documentation name them.
TARGETS = tuple(key for key in Register.model_fields if key not in _OF_AN_INSTANCE)
TARGETS_LISTED = listed(TARGETS)


def rules_of_target(kind: str) -> tuple[Rule, ...]:
    """Return the rules that the mapping below a registry's key obeys."""
    forms = get_args(Register.model_fields[kind].annotation)
    return next((form.rules for form in forms if isinstance(form, type) and issubclass(form, Model)), ())


def _form(value: Any) -> str:
    return "[several]" if isinstance(value, (list, tuple)) else "[one]"


Registered = Annotated[
    Annotated[Register, Tag("[one]")] | Annotated[tuple[Register, ...], Field(min_length=1), Tag("[several]")],
    Discriminator(_form),
]
