"""Services in Consul.

registry        the watch: blocking queries, which Consul answers when something changes
entries         what Consul says of an instance: its node, the service on it, and the checks of both
"""

from discovery.consul.registry import ConsulRegistry

__all__ = ["ConsulRegistry"]
