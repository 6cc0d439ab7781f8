"""The services that Consul holds, by name: `/v1/catalog/services`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.units import show
from discovery.catalog import Listed
from discovery.instance import first_line
from discovery.registry import RegistryError

if TYPE_CHECKING:
    from discovery.consul.agent import Agent

RIGHT = "service:read"


async def list_services(agent: Agent, datacenter: str = "") -> tuple[Listed, ...]:
    """List the services of a datacenter, the agent's own if it is empty. Raises RegistryError."""
    query = {"dc": datacenter} if datacenter else {}
    found, headers = await agent.read("/v1/catalog/services", RIGHT, query)
    if not isinstance(found, dict):
        raise RegistryError(f"{agent}: the answer must be an object, not {show(found)}; is this Consul's HTTP API?")
    if headers.get("X-Consul-Results-Filtered-By-ACLs") == "true":
        raise RegistryError(f"{agent}: the token may not read all services; grant it {RIGHT}")
    return tuple(Listed(first_line(name), tags=_tags(tags)) for name, tags in sorted(found.items()))


def _tags(tags: object) -> tuple[str, ...]:
    return tuple(map(first_line, tags)) if isinstance(tags, list) else ()
