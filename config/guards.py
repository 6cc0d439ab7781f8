"""What stands between a client and a service: the keys that listeners and routes have in common, and a route's own."""

from functools import cached_property
from typing import Annotated

from config.basic_auth import BasicAuth
from config.declaring import AfterValidator, Field
from config.forward_auth import ForwardAuth
from config.frozen import Model
from config.rate_limit import RateLimits
from config.trusted import TrustedList, TrustedProxies


def _somebody(listed: TrustedProxies) -> TrustedProxies:
    if listed == TrustedProxies():
        raise ValueError("must have at least one item; an empty list would let nobody in, so leave the key out")
    return listed


AllowList = Annotated[TrustedList, AfterValidator(_somebody)]

_WHO = "IP addresses, networks such as 10.0.0.0/8, and unix for the clients of a unix socket"


class Guarded(Model):
    """What has guards before it."""

    @cached_property
    def asked(self) -> str:
        """All that is said, as one text: the name of its guards."""
        return self.model_dump_json()


class ListenerGuards(Guarded):
    """Who may come in by a listener."""

    allow: AllowList | None = Field(
        default=None,
        description=f"The only clients that are let in, by the address of their connection: {_WHO}. Others get a 403 "
        "and are closed. Left out: everybody is.",
    )
    deny: TrustedList = Field(
        default=TrustedProxies(),
        description="The clients that are not let in, written as in allow, and whatever stands there. They get a 403 "
        "and are closed.",
    )
    rate_limit: RateLimits | None = Field(
        default=None,
        description="How many requests pass on this listener, whatever their route: a mapping, or a list of them, all "
        "of which must let a request pass. Others get a 429 with Retry-After. Left out: any number.",
    )


class RouteGuards(Guarded):
    """Whose requests a route takes."""

    allow: AllowList | None = Field(
        default=None,
        description=f"The only clients whose requests pass, by their address as far as it can be believed: {_WHO}. "
        "Others get a 403. Left out: everybody's do.",
    )
    deny: TrustedList = Field(
        default=TrustedProxies(),
        description="The clients whose requests get a 403, written as in allow, and whatever stands there.",
    )
    rate_limit: RateLimits | None = Field(
        default=None,
        description="How many requests pass on this route, on all listeners together: a mapping, or a list of them, "
        "all of which must let a request pass. Others get a 429 with Retry-After. Left out: any number.",
    )
    basic_auth: BasicAuth | None = Field(
        default=None, description="Who may pass with a name and a password. Left out: nobody is asked for any."
    )
    forward_auth: ForwardAuth | None = Field(
        default=None, description="A service that says whether a request may pass. Left out: none is asked."
    )
