"""What may be registered, under Consul's names, and what the sender of something else is told."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_pascal

from discovery.embedded.duration import SECOND, nanoseconds
from discovery.embedded.refusal import RefusedError

LONGEST_NAME = 512  # characters of a name or an ID
LONGEST_ADDRESS = 255
LONGEST_TAG = 2048
MOST_TAGS = 256
MOST_CHECKS = 64  # of one service
LONGEST_TEXT = 4096  # bytes of an output or a note that are kept, Consul's default for outputs
LONGEST_URL = 4096

SHORTEST_INTERVAL = SECOND  # Consul raises what is shorter, and so do we
SHORTEST_CRITICAL = SECOND  # before a service is deregistered; Consul has 1 minute here
DEFAULT_TIMEOUT = 10 * SECOND
MOST_WEIGHT = 65_535  # Consul hands weights to DNS, which has 16 bits for them

Status = Literal["passing", "warning", "critical"]
STATUSES: dict[str, Status] = {"passing": "passing", "warning": "warning", "critical": "critical"}
Kind = Literal["", "ttl", "http", "tcp", "maintenance"]

_SPELLED = {
    "check_id": "CheckID",
    "http": "HTTP",
    "id": "ID",
    "service_id": "ServiceID",
    "tcp": "TCP",
    "ttl": "TTL",
}  # the names that are not plain CamelCase


def printable(text: str) -> str:
    """Refuse control characters and lone surrogates: Consul takes them in an ID and then cannot deregister it."""
    if not text.isprintable():
        raise ValueError("holds characters that cannot be printed")
    return text


def unicode_text(text: str) -> str:
    """Refuse lone surrogates, which JSON can spell and UTF-8 cannot."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("is not Unicode text")
    return text


def cut(text: str, limit: int = LONGEST_TEXT) -> str:
    """Keep at most `limit` bytes of a text for people, in Consul's words where some of it is gone."""
    whole = text.encode("utf-8", "replace")
    if len(whole) <= limit:
        return whole.decode("utf-8")
    return f"{whole[:limit].decode('utf-8', 'ignore')} ... (captured {limit} of {len(whole)} bytes)"


def _address(text: str) -> str:
    if text in ("0.0.0.0", "::", "[::]"):
        raise ValueError("is the address to listen on everywhere, and nobody can connect to it")
    if any(character.isspace() or character in "/[]" for character in text):
        raise ValueError("should be an IP address or a host name")
    return text


def _url(text: str) -> str:
    if text and not re.match("https?://[^/]", text):
        raise ValueError("should be an http:// or https:// URL")
    return text


def _host_port(text: str) -> str:
    host, _, port = text.rpartition(":")
    if text and not (host and re.fullmatch("[0-9]{1,5}", port) and int(port) <= 65_535):
        raise ValueError("should be host:port")
    return text


def _meta(pairs: dict[str, str]) -> dict[str, str]:
    if len(pairs) > 64:
        raise ValueError("should hold no more than 64 pairs")
    for key, value in pairs.items():
        if not re.fullmatch("[a-zA-Z0-9_-]{1,128}", key):
            raise ValueError(f"the key {key[:128]!r} should be 1 to 128 letters, digits, dashes and underscores")
        if len(unicode_text(value).encode()) > 512:
            raise ValueError(f"the value of {key!r} should be no more than 512 bytes")
    return pairs


Name = Annotated[str, Field(max_length=LONGEST_NAME), AfterValidator(printable)]
Address = Annotated[str, Field(max_length=LONGEST_ADDRESS), AfterValidator(printable), AfterValidator(_address)]
Tag = Annotated[str, Field(max_length=LONGEST_TAG), AfterValidator(printable)]
Text = Annotated[str, AfterValidator(cut)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Duration = Annotated[int, BeforeValidator(nanoseconds)]
Meta = Annotated[dict[str, str], AfterValidator(_meta)]
HeaderName = Annotated[str, Field(pattern="^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", max_length=256)]
HeaderValue = Annotated[str, Field(max_length=4096), AfterValidator(printable)]


class _Definition(BaseModel):
    """A JSON object in Consul's spelling, an immutable value.

    As in Go's decoder, a name counts in any case, null is as good as absent, and an unknown name is an error.
    """

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", alias_generator=lambda field: _SPELLED.get(field, to_pascal(field))
    )

    also: ClassVar[dict[str, str]] = {}
    """Further spellings that Consul takes, beside the names in any case."""
    unused: ClassVar[frozenset[str]] = frozenset()
    """Names of Consul that change nothing here."""
    beyond: ClassVar[dict[str, str]] = {}
    """Names of Consul that ask for what the embedded registry has not, with what to say; an empty value asks for
    nothing."""

    @model_validator(mode="before")
    @classmethod
    def _as_consul_spells(cls, given: object) -> object:
        if not isinstance(given, dict):
            raise ValueError("should be a JSON object")
        names = {field.alias.lower(): field.alias for field in cls.model_fields.values() if field.alias}
        spelled = {}
        for key, value in given.items():
            name = key.lower()
            name = cls.also.get(name, name)
            if value is None or name in cls.unused:
                continue
            if name in cls.beyond:
                if value:
                    raise ValueError(f"{key}: {cls.beyond[name]}")
                continue
            if name not in names:
                raise ValueError(f"unknown field {key[:LONGEST_NAME]!r}")
            spelled[names[name]] = value
        return spelled


class CheckDefinition(_Definition):
    """How the status of a check comes about: reported within a TTL, or found by an HTTP or a TCP probe."""

    also = {
        "deregister_critical_service_after": "deregistercriticalserviceafter",
        "tls_skip_verify": "tlsskipverify",
    }
    unused = frozenset({"serviceid", "service_id"})
    beyond = dict.fromkeys(
        (
            "args", "scriptargs", "script_args", "shell", "dockercontainerid", "docker_container_id", "grpc",
            "grpcusetls", "aliasnode", "alias_node", "aliasservice", "alias_service",
        ),
        "the embedded registry runs TTL, HTTP and TCP checks",
    ) | {
        "body": "the embedded registry's HTTP checks send no body",
        "tlsskipverify": "the embedded registry's HTTP checks verify certificates",
    }  # fmt: skip

    check_id: Name = ""
    name: Name = ""
    notes: Text = ""
    status: Literal["", "passing", "warning", "critical"] = ""
    ttl: Duration = 0
    http: Annotated[str, Field(max_length=LONGEST_URL), AfterValidator(printable), AfterValidator(_url)] = ""
    method: Annotated[str, Field(pattern="^[A-Za-z]*$", max_length=32)] = ""
    header: dict[HeaderName, list[HeaderValue]] = {}
    tcp: Annotated[str, Field(max_length=LONGEST_NAME), AfterValidator(printable), AfterValidator(_host_port)] = ""
    interval: Duration = 0
    timeout: Duration = 0
    deregister_critical_service_after: Duration = 0
    success_before_passing: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    failures_before_critical: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    output_max_size: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _one_way(self) -> CheckDefinition:
        if self.empty:
            return self
        if self.http or self.tcp:
            if self.interval <= 0:
                raise ValueError("Interval must be > 0 for HTTP or TCP checks")
            if self.ttl:
                raise ValueError("Interval and TTL cannot both be specified")
        elif self.ttl <= 0:
            raise ValueError("TTL must be > 0 for TTL checks")
        elif self.interval > 0:
            raise ValueError("Interval and TTL cannot both be specified")
        return self

    @property
    def empty(self) -> bool:
        """Whether it asks for no check at all: Consul registers the service then, and no check."""
        return all(getattr(self, name) == field.default for name, field in CheckDefinition.model_fields.items())

    @property
    def kind(self) -> Kind:
        return "http" if self.http else "tcp" if self.tcp else "ttl"

    @property
    def ttl_seconds(self) -> float:
        return self.ttl / SECOND

    @property
    def interval_seconds(self) -> float:
        return max(self.interval, SHORTEST_INTERVAL) / SECOND

    @property
    def timeout_seconds(self) -> float:
        return (self.timeout if self.timeout > 0 else DEFAULT_TIMEOUT) / SECOND

    @property
    def reap_seconds(self) -> float | None:
        """How long a service may be critical before it is deregistered; None when it stays."""
        after = self.deregister_critical_service_after
        return max(after, SHORTEST_CRITICAL) / SECOND if after > 0 else None

    @property
    def output_limit(self) -> int:
        return min(self.output_max_size or LONGEST_TEXT, LONGEST_TEXT)


class CheckRegistration(CheckDefinition):
    """A check registered by itself; without `service_id` it is the node's, and every service's."""

    also = CheckDefinition.also | {"service_id": "serviceid"}
    unused = frozenset({"token"})

    check_id: Name = Field(default="", alias="ID")
    service_id: Name = ""

    def definition(self) -> CheckDefinition:
        return CheckDefinition.model_construct(**{name: getattr(self, name) for name in CheckDefinition.model_fields})


class CheckUpdate(_Definition):
    """What a service says of its TTL check."""

    status: str = ""
    output: str = ""


class Weights(_Definition):
    """The share of requests, by status, relative to the other instances of the service."""

    passing: Annotated[int, Field(ge=1, le=MOST_WEIGHT)]
    warning: Annotated[int, Field(ge=0, le=MOST_WEIGHT)] = 0


class TaggedAddress(_Definition):
    address: Address = ""
    port: Port = 0


class ServiceDefinition(_Definition):
    """One instance of a service."""

    also = {"enable_tag_override": "enabletagoverride", "tagged_addresses": "taggedaddresses"}
    unused = frozenset({"token"})
    beyond = dict.fromkeys(("kind", "proxy", "connect"), "the embedded registry has no service mesh")

    id: Name = ""
    name: Name = ""
    tags: Annotated[tuple[Tag, ...], Field(strict=False, max_length=MOST_TAGS)] = ()
    meta: Meta = {}
    port: Port = 0
    address: Address = ""
    tagged_addresses: Annotated[dict[Name, TaggedAddress], Field(max_length=16)] = {}
    weights: Weights = Weights.model_construct(passing=1, warning=1)
    enable_tag_override: bool = False


class ServiceRegistration(ServiceDefinition):
    """One instance of a service, with the checks that say how it does."""

    check: CheckDefinition | None = None
    checks: Annotated[tuple[CheckDefinition, ...], Field(strict=False, max_length=MOST_CHECKS)] = ()

    @model_validator(mode="after")
    def _whole(self) -> ServiceRegistration:
        if any(check.empty for check in self.checks):
            raise ValueError("TTL must be > 0 for TTL checks")
        return self

    def definition(self) -> ServiceDefinition:
        fields = {name: getattr(self, name) for name in ServiceDefinition.model_fields}
        fields["id"] = self.id or self.name
        return ServiceDefinition.model_construct(**fields)

    def named_checks(self) -> dict[str, CheckDefinition]:
        """Return the checks by ID; one without is numbered in Consul's way, and the later of two of the same counts."""
        checks = [*([self.check] if self.check and not self.check.empty else []), *self.checks]
        base = f"service:{self.id or self.name}"
        return {
            check.check_id or (base if len(checks) == 1 else f"{base}:{number}"): check
            for number, check in enumerate(checks, 1)
        }


Read = TypeVar("Read", bound=_Definition)


def read(model: type[Read], body: bytes) -> Read:
    """Read a request's body; RefusedError with status 400 says what is wrong with it."""
    try:
        given = json.loads(body.decode("utf-8"), parse_constant=_no_number)
        return model.model_validate(given)
    except ValidationError as error:
        raise RefusedError(
            400, f"Invalid request: {'; '.join(_said(problem) for problem in error.errors()[:5])}"
        ) from None
    except RecursionError:
        raise RefusedError(400, "Request decode failed: nested too deeply") from None
    except ValueError as error:
        raise RefusedError(400, f"Request decode failed: {error}") from None


def _said(problem: Any) -> str:
    place = ".".join(str(part)[:LONGEST_NAME] for part in problem["loc"])
    message = (
        problem["msg"]
        .removeprefix("Value error, ")
        .replace("a valid tuple", "a list")
        .replace("a valid dictionary", "an object")
    )
    return f"{place}: {message}" if place else message


def _no_number(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")
