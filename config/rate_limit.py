"""The keys of a rate limit, and of a list of them."""

import re
from typing import Annotated, Any

from config.declaring import AfterValidator, Discriminator, Field, Tag, WithJsonSchema
from config.frozen import Model
from config.own_fields import is_own
from config.units import Int, PositiveDuration, show

_HEADER = "header:"
_BY = re.compile(r"client|route|header:[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def _by(value: str) -> str:
    if not _BY.fullmatch(value):
        raise ValueError(f"must be client, route or header:NAME such as header:X-Api-Key, not {show(value)}")
    name = value.removeprefix(_HEADER)
    if name != value and name.lower() != "host" and is_own(name):
        raise ValueError(f"must name a header that is passed on as the client sent it, which {name} is not")
    return value


By = Annotated[
    str, AfterValidator(_by), WithJsonSchema({"type": "string", "pattern": f"^(?:{_BY.pattern})$", "default": "client"})
]
Requests = Annotated[Int, Field(ge=1, le=1_000_000_000)]


class RateLimit(Model):
    """How many requests pass in a time: a bucket of tokens, of which each request takes one."""

    requests: Requests = Field(description="How many requests may pass in each `per`, evenly refilled; 1 or more.")
    per: PositiveDuration = Field(default=1.0, description="The time that `requests` is meant for.")
    burst: Requests | None = Field(
        default=None,
        description="How many may pass at once after a pause: the size of the bucket; 1 or more. Left out: as many as "
        "`requests`.",
    )
    by: By = Field(
        default="client",
        description="Who has a bucket of its own. client: each address of a client as far as it can be believed, IPv6 "
        "by its /64; header:NAME: each value of that header, and all requests without it together; route: nobody, one "
        "bucket is for all.",
    )
    clients: Annotated[Int, Field(ge=1, le=1_000_000)] = Field(
        default=10_000,
        description="How many buckets there are at most; 1 to 1000000. Beyond that the fullest is forgotten.",
    )


def _form(value: Any) -> str:
    return "[several]" if isinstance(value, (list, tuple)) else "[one]"


RateLimits = Annotated[
    Annotated[RateLimit, Tag("[one]")] | Annotated[tuple[RateLimit, ...], Field(min_length=1), Tag("[several]")],
    Discriminator(_form),
]
