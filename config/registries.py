"""The keys of the registries that are polled: a name in the DNS, and a document at a URL."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from config.frozen import FrozenMapping, Model
from config.texts import DnsName, DocumentUrl, HeaderName, HeaderValue, NameServer, Token
from config.together import TTL_MAX, TTL_MIN, dns_port, dns_ttls, obey, one_token
from config.units import Duration, PathText, Port, at_least, format_duration

Pause = Annotated[Duration, at_least(0.1, format_duration)]
Patience = Annotated[Duration, at_least(0.01, format_duration)]


class Dns(Model):
    """A name in the DNS, asked for again whenever its TTL has passed."""

    name: DnsName = Field(
        description="The whole domain name: web.example.internal, or _http._tcp.example.internal for type srv. Search "
        "lists do not count."
    )
    type: Literal["both", "a", "aaaa", "srv"] = Field(
        default="both",
        description="The records to ask for. a: IPv4 addresses; aaaa: IPv6 addresses; both: these two; srv: SRV "
        "records, which hold targets with their ports and weights.",
    )
    port: Port | None = Field(
        default=None, description="The port of the instances. Required, but for type srv, whose records name it."
    )
    servers: tuple[NameServer, ...] = Field(
        default=(),
        description="The name servers to ask, in turn: IP addresses, with a port unless it is 53. Empty: those of "
        "/etc/resolv.conf, also when that file changes.",
    )
    ttl_min: Pause = Field(
        default=TTL_MIN,
        description="The shortest time from one look to the next, however short a TTL is; 100ms or more.",
    )
    ttl_max: Pause = Field(
        default=TTL_MAX, description="The longest time from one look to the next, however long a TTL is."
    )
    timeout: Patience = Field(
        default=2.0, description="How long a name server may take to answer before the next one is asked; 10ms or more."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        obey(dns_port, self)
        obey(dns_ttls, self)
        return self


class Http(Model):
    """A JSON document at a URL, in the form of Prometheus' http_sd, looked at again and again."""

    url: DocumentUrl = Field(description="The URL of the document, http:// or https://.")
    interval: Pause = Field(default=10.0, description="The time from one look to the next; 100ms or more.")
    timeout: Patience = Field(default=5.0, description="How long one look may take, redirects and all; 10ms or more.")
    headers: FrozenMapping[HeaderName, HeaderValue] = Field(
        default_factory=dict,
        validate_default=True,
        description="More headers for the requests, by name. Write ${NAME} to take a value from the environment.",
    )
    token: Token | None = Field(
        default=None,
        description="A token to ask with, sent as Authorization: Bearer. Write ${NAME} to take it from the "
        "environment. Left out: none.",
    )
    token_file: PathText | None = Field(
        default=None,
        description="A file that holds the token, instead of token. A relative path starts at this file's folder.",
    )

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        obey(one_token, self)
        return self
