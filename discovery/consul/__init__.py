"""Services in Consul.

registry        the watch: blocking queries, which Consul answers when something changes
registrar       the provider's side: a service of an agent with a TTL check
listing         which services there are
agent           an agent's HTTP API, for what is not a watch
entries         what Consul says of an instance: its node, the service on it, and the checks of both
"""

from discovery.consul.registrar import ConsulRegistrar
from discovery.consul.registry import ConsulRegistry

__all__ = ["ConsulRegistrar", "ConsulRegistry"]
