"""The keys of a listener."""

from typing import Literal

from pydantic import Field

from config.guards import ListenerGuards
from config.header_rules import HasHeaderRules
from config.traffic import ListenerLimits, ListenerTimeouts
from config.trusted import TrustedList
from config.units import BindText, Bool

Forwarded = Literal["x_forwarded", "rfc7239", "both", "none"]

TRUSTED_PROXIES_TEXT = (
    "The proxies in front of this one, whose word about where a request came from is taken: IP addresses, networks "
    "such as 10.0.0.0/8, and unix for the clients of a unix socket. What others say of it is dropped."
)
FORWARDED_TEXT = (
    "Which headers tell the instance where a request came from: x_forwarded (X-Forwarded-For, -Proto and -Host), "
    "rfc7239 (Forwarded), both or none."
)


class Listener(HasHeaderRules, ListenerGuards):
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
