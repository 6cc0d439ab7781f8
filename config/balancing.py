"""The keys of who among a service's endpoints gets how much, whatever its policy."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from config.declaring import Field
from config.frozen import FrozenMapping, Model
from config.texts import CookieDomain, CookieName, CookiePath, HeaderName, NotEmpty, Password
from config.units import Duration, Int, PathText, PositiveDuration, Share

_CONDITIONS = ("id", "address", "zone", "tags", "metadata")


class SlowStart(Model):
    """An instance that joins others, or is readmitted, gets a part of its share at first."""

    window: PositiveDuration = Field(default=30.0, description="How long it takes until its whole weight counts.")
    aggression: Annotated[float, Field(ge=0.1, le=10)] = Field(
        default=1.0, description="1: its weight grows evenly; above 1 faster at first, below 1 slower; 0.1 to 10."
    )
    min_weight: Share = Field(default=0.1, description="The share of its weight that it begins with, 0% to 100%.")


def one_key(given: Mapping[str, Any]) -> str | None:
    """Want at most one key."""
    return "has both key and key_file: keep one of them" if {"key", "key_file"} <= given.keys() else None


def none_is_secure(given: Mapping[str, Any]) -> str | None:
    """Want what browsers want of a cookie that other sites' pages may send."""
    if given.get("same_site") == "none" and given.get("secure") is not True:
        return "must have secure: true with same_site none, or browsers drop the cookie"
    return None


class Sticky(Model):
    """A client goes back to the instance that answered it before, by a cookie."""

    rules = (one_key, none_is_secure)

    cookie: CookieName = Field(default="pointsman", description="The cookie's name.")
    path: CookiePath = Field(default="/", description="The cookie's Path.")
    domain: CookieDomain = Field(default="", description="The cookie's Domain. Empty: the host that was asked alone.")
    max_age: Duration = Field(
        default=0.0, description="How long browsers keep the cookie, in whole seconds. 0s: until they are closed."
    )
    secure: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="true: browsers send the cookie by https alone."
    )
    http_only: Annotated[bool, Field(strict=True)] = Field(
        default=True, description="true: scripts in a page cannot read the cookie."
    )
    same_site: Literal["lax", "strict", "none"] = Field(
        default="lax", description="Whether pages of other sites have browsers send the cookie: lax, strict or none."
    )
    key: Password | None = Field(
        default=None,
        description="Cookies are signed with this key, the same in all proxies, so that no client can choose an "
        "instance. Write ${NAME} to take it from the environment. Left out: they are not.",
    )
    key_file: PathText | None = Field(
        default=None,
        description="A file that holds the key, instead of key. A relative path starts at this file's folder.",
    )


class Zones(Model):
    """Instances in the zone of this process get the requests first."""

    prefer: NotEmpty = Field(description="The zone of this process. Write ${ZONE} to take it from the environment.")
    overprovisioning: Annotated[float, Field(ge=1, le=10)] = Field(
        default=1.4,
        description="The zone gets all requests while its healthy share times this is 1 or more, and that product of "
        "them otherwise; 1 to 10.",
    )
    min_instances: Annotated[Int, Field(ge=1, le=1000)] = Field(
        default=6, description="With fewer instances than this zones are ignored; 1 to 1000."
    )


class Subset(Model):
    """A header of the request chooses a part of the instances."""

    header: HeaderName = Field(description="The header whose value is looked for, such as X-Version.")
    metadata: str = Field(
        default="", description="The key of the instances' metadata that has that value. Empty: a tag is that value."
    )
    strict: Annotated[bool, Field(strict=True)] = Field(
        default=False,
        description="true: a request whose value no instance has is answered with 503. false: it goes to any.",
    )


def some_condition(given: Mapping[str, Any]) -> str | None:
    """Want an override to say whom it is for, and what becomes of them."""
    if not any(given.get(key) for key in _CONDITIONS):
        return f"must have one of {', '.join(_CONDITIONS)}, which say whom it is for"
    if {"weight", "share"} <= given.keys():
        return "has both weight and share: keep one of them"
    return None if {"weight", "share", "priority"} & given.keys() else "must have weight, share or priority"


class Override(Model):
    """What is to count of some instances against what the registry says; all the conditions must be met."""

    rules = (some_condition,)

    id: str = Field(default="", description="Whom it is for: the identity.")
    address: str = Field(default="", description="Whom it is for: host:port, or a host alone.")
    zone: str = Field(default="", description="Whom it is for: the zone.")
    tags: tuple[str, ...] = Field(default=(), description="Whom it is for: those with all of these tags.")
    metadata: FrozenMapping[str, str] = Field(
        default_factory=dict, validate_default=True, description="Whom it is for: those with all of this metadata."
    )
    weight: Annotated[Int, Field(ge=0, le=65535)] | None = Field(
        default=None, description="The weight instead of the registry's, 0 to 65535."
    )
    share: Share | None = Field(default=None, description="The share of the registry's weight that counts, 0% to 100%.")
    priority: Annotated[Int, Field(ge=0, le=100)] = Field(
        default=0,
        description="Added to the priority: 1 makes them a backup, which gets requests only as long as too few others "
        "are healthy; 0 to 100.",
    )
