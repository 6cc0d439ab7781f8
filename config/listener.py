"""The keys of a listener."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from config.declaring import AfterValidator, Field
from config.guards import ListenerGuards
from config.header_rules import HasHeaderRules
from config.listener_tls import ListenerTls
from config.tcp import Tcp
from config.traffic import ListenerLimits, ListenerTimeouts
from config.trusted import TrustedList
from config.units import Bind, BindText, Bool, parse_bind, show

Forwarded = Literal["x_forwarded", "rfc7239", "both", "none"]

TRUSTED_PROXIES_TEXT = (
    "The proxies in front of this one, whose word about where a request came from is taken: IP addresses, networks "
    "such as 10.0.0.0/8, and unix for the clients of a unix socket. What others say of it is dropped."
)
FORWARDED_TEXT = (
    "Which headers tell the instance where a request came from: x_forwarded (X-Forwarded-For, -Proto and -Host), "
    "rfc7239 (Forwarded), both or none."
)


def _mode(text: str) -> str:
    if not re.fullmatch("0?[0-7]{3}", text):
        raise ValueError(f'must be three octal digits, as in "0660", not {show(text)}')
    return text


def _mode_of_a_socket(given: Mapping[str, Any]) -> str | None:
    """Want rights only where there is a file that has them."""
    if "mode" not in given:
        return None
    try:
        bind: Bind = parse_bind(given.get("bind"))
    except ValueError:
        return None  # which is told by itself
    return None if bind.path else "has mode, which only a unix socket has; take it out, or bind unix:/path"


class Listener(HasHeaderRules, ListenerGuards):
    """An address on which requests are accepted."""

    rules = (_mode_of_a_socket,)

    bind: BindText = Field(
        description="Where to listen: host:port, [ipv6]:port, :port for all addresses of the machine, or unix:/path. "
        "Port 0 lets the system choose one."
    )
    tls: ListenerTls | None = Field(default=None, description="TLS to the clients. Left out: they speak plain HTTP.")
    mode: Annotated[str, AfterValidator(_mode)] | None = Field(
        default=None,
        description='Who may connect to a unix socket, as chmod has it: "0660" for its owner and its group. Left out: '
        "as the process's umask leaves it. Only with unix:/path.",
    )
    proxy_protocol: TrustedList | None = Field(
        default=None,
        description="The proxies from which a PROXY header (v1 or v2) must come ahead of each connection, and whose "
        "word on the client's address is taken: IP addresses, networks, and unix. Left out: none.",
    )
    timeouts: ListenerTimeouts = Field(
        default=ListenerTimeouts(), description="How long each wait for its clients may last."
    )
    limits: ListenerLimits = Field(
        default=ListenerLimits(), description="How large its requests may be, and how many connections it has."
    )
    trusted_proxies: TrustedList | None = Field(
        default=None,
        description=f"{TRUSTED_PROXIES_TEXT} Left out: as the top of the file has it.",
    )
    forwarded: Forwarded | None = Field(
        default=None, description=f"{FORWARDED_TEXT} Left out: as the top of the file has it."
    )
    allow_connect: Bool = Field(
        default=False,
        description="true: CONNECT is passed on to an instance, and becomes a tunnel once that answers with a 2xx. "
        "false: it gets a 405.",
    )
    allow_trace: Bool = Field(
        default=False, description="true: TRACE is passed on to an instance. false: it gets a 405."
    )
    tcp: Tcp | None = Field(
        default=None,
        description="Its connections go to instances as they are, whatever is spoken on them, instead of being read as "
        "HTTP. Left out: it speaks HTTP.",
    )
