"""The keys of a service in Consul, and of a whole catalog."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from config.declaring import Field
from config.frozen import Model, Rule
from config.texts import ConsulUrl, NotEmpty, Token
from config.together import one_token
from config.units import Duration, Int, PathText


def age_of_cache(given: Mapping[str, Any]) -> str | None:
    """Want an age of the cache only where it is asked."""
    if given.get("max_age") in (None, 0, "0s") or given.get("cached") is True:
        return None
    return "has max_age without cached: true: add it, or leave max_age out"


class _Agent(Model):
    """The agent to ask, and what of it."""

    rules: ClassVar[tuple[Rule, ...]] = (one_token, age_of_cache)

    address: ConsulUrl = Field(
        default="http://127.0.0.1:8500", description="The URL of the Consul agent, best the one on this machine."
    )
    token: Token | None = Field(
        default=None,
        description="The ACL token to ask with; it needs service:read and node:read. Write ${NAME} to take it from the "
        "environment. Left out: none.",
    )
    token_file: PathText | None = Field(
        default=None,
        description="A file that holds the ACL token, instead of token. A relative path starts at this file's folder.",
    )
    datacenter: str = Field(default="", description="The datacenter to ask for. Empty: the agent's own.")
    filter: str = Field(
        default="", description='A Consul filter expression, such as Service.Meta.version == "2". Empty: none.'
    )
    cached: Annotated[bool, Field(strict=True)] = Field(
        default=False,
        description="true: instances are read from the agent's own cache, which costs the servers one watch however "
        "many ask this agent, and answers while they are away.",
    )
    max_age: Duration = Field(
        default=0.0,
        description="For how long the agent's cache may be cut off from the servers until that counts as a failure of "
        "the watch; the last instances stay in force. 0s: for ever. Only with cached.",
    )
    connections: Annotated[Int, Field(ge=0, le=10000)] = Field(
        default=64,
        description="How many of the agent's connections may wait for the changes of one service each, 0 to 10000. The "
        "services beyond share ten. An agent allows 200 connections from one address.",
    )


def one_order(given: Mapping[str, Any]) -> str | None:
    """Want one datacenter or a list of several, and in that each of them once."""
    if given.get("datacenter") and given.get("datacenters"):
        return "has both datacenter and datacenters: keep one of them"
    several = given.get("datacenters")
    if isinstance(several, (list, tuple)) and len(set(map(str, several))) < len(several):
        return "must name each of its datacenters once"
    return None


class Consul(_Agent):
    """A service in Consul, watched by blocking queries: a change arrives as soon as Consul knows it."""

    rules = (one_token, age_of_cache, one_order)

    service: NotEmpty = Field(description="The service's name in Consul.")
    datacenters: tuple[NotEmpty, ...] = Field(
        default=(),
        description="Instead of datacenter: several, in the order of preference. Instances of a later one get requests "
        "only as long as too few of those before them are healthy.",
    )
    tags: tuple[str, ...] = Field(default=(), description="Only instances that have all of these tags are used.")


class ConsulCatalog(_Agent):
    """A whole catalog of Consul, watched by blocking queries."""
