"""Services in Consul.

registry        the watch: blocking queries, which Consul answers when something changes
follower        how it goes on for hundreds of services, where one connection each would be too many
checks          all checks of an agent, by which it learns whose have changed
cached          how it goes on with the agent's own cache
datacenters     the same service in several datacenters, with failover
shared          what all watches of an agent share: a pool of connections, what a good answer is, and a bad one
entries         what Consul says of an instance: its node, the service on it, and the checks of both

registrar       the provider's side: a service of an agent with a TTL check
listing         which services there are
agent           an agent's HTTP API, for what is not a watch

catalog         the watch of the services that want routes
tags            what an instance's tags say of routes: fabio_tags and traefik_tags read them, traefik_rules the rules of
                the latter; wishes has what all of them speak in
destinations    from the instances of a service and their wishes to routes and the instances that they lead to
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from discovery.consul.catalog import ConsulCatalog
    from discovery.consul.datacenters import Datacenters
    from discovery.consul.registrar import ConsulRegistrar
    from discovery.consul.registry import ConsulRegistry

__all__ = ["ConsulCatalog", "ConsulRegistrar", "ConsulRegistry", "Datacenters"]

_WHERE = {
    "ConsulCatalog": "catalog",
    "ConsulRegistrar": "registrar",
    "ConsulRegistry": "registry",
    "Datacenters": "datacenters",
}


def __getattr__(name: str) -> object:
    # Consul's client takes 6 MiB, and of what is here everybody wants `destinations`, which need no client.
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
