"""The keys of a service in ZooKeeper."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from config.declaring import AfterValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema
from config.frozen import Model
from config.texts import LoginPassword, NotEmpty, PasswordFile
from config.together import one_login
from config.units import (
    Address,
    Duration,
    PositiveDuration,
    at_least,
    at_most,
    format_duration,
    parse_address,
    show,
)

CLIENT_PORT = 2181  # ZooKeeper's own default
LONGEST_SESSION = 60.0  # seconds; servers allow 40 s unless told otherwise, and a client waits as long for them


def parse_member(value: object) -> Address:
    """Read the address of a member of an ensemble, with a port unless it is 2181."""
    if isinstance(value, str) and value and ":" not in value.rpartition("]")[2]:
        return parse_address(f"{value}:{CLIENT_PORT}")
    return parse_address(value)


def _path(path: str) -> str:
    steps = path.removeprefix("/").split("/")
    if not path.startswith("/") or not path.isprintable() or any(step in ("", ".", "..") for step in steps):
        raise ValueError(f"must be the whole path of a node, such as /services/web, and not end in /, not {show(path)}")
    return path


def _username(name: str) -> str:
    if ":" in name:
        raise ValueError(f"must be without a colon, which ends a name in ZooKeeper, not {show(name)}")
    return name


def one_endpoint(given: Mapping[str, Any]) -> str | None:
    """Want the name of an endpoint only of serversets, whose members may have several."""
    layout = given.get("layout", "curator")
    if "endpoint" in given and layout in ("curator", "nerve"):
        return f"has endpoint with layout {layout}: leave it out, for only serversets have several"
    return None


Member = Annotated[
    Address,
    PlainValidator(parse_member),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "minLength": 1, "examples": ["zk1.internal", "10.0.0.1:2181", "[fd00::1]:2181"]}),
]
NodePath = Annotated[
    str,
    AfterValidator(_path),
    WithJsonSchema({"type": "string", "pattern": "^/.*[^/]$", "examples": ["/services/web"]}),
]
Username = Annotated[NotEmpty, AfterValidator(_username)]
SessionTime = Annotated[Duration, at_least(1.0, format_duration), at_most(LONGEST_SESSION, format_duration)]

Hosts = Annotated[
    tuple[Member, ...],
    Field(min_length=1, description="The members of the ensemble, host:port, or a host alone for port 2181."),
]
AnswerTime = Annotated[
    PositiveDuration, Field(description="How long an answer may take, and a connection that broke to come back.")
]
HOSTS = (Address("127.0.0.1", CLIENT_PORT),)


class ZooKeeper(Model):
    """A service in ZooKeeper: every child of a path is one instance, and ZooKeeper tells of a change at once."""

    rules = (one_login, one_endpoint)

    path: NodePath = Field(description="The path whose children are the instances, such as /services/web.")
    layout: Literal["curator", "serverset", "nerve"] = Field(
        default="curator",
        description="How they are written down. curator: Curator's service discovery, also Spring Cloud's; serverset: "
        "Finagle's and Twitter's; nerve: SmartStack's, with or without path encoding.",
    )
    endpoint: NotEmpty | None = Field(
        default=None,
        description="With layout serverset: the additional endpoint that requests go to. Left out: the service "
        "endpoint.",
    )
    hosts: Hosts = HOSTS
    username: Username | None = Field(
        default=None,
        description="Who asks, for ACLs of the scheme digest; it must be allowed to read the path. Left out: nobody.",
    )
    password: LoginPassword = None
    password_file: PasswordFile = None
    session_timeout: SessionTime = Field(
        default=10.0,
        description="How long the ensemble remembers this process while it is not connected; 1s to 1m. The servers "
        "allow from 2 to 20 times their tickTime. Services with the same members, login and session_timeout share "
        "one session.",
    )
    timeout: AnswerTime = 5.0
