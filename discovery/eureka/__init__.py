"""Services in Netflix' Eureka.

registry        the watch: snapshots of one service out of what the poller knows
poller          asks one of the servers every few seconds, on behalf of all watches
store           what a Eureka holds, put together from full answers and deltas
answers         what Eureka answers; entries reads an instance
client          HTTP and the login

registrar       the provider's side: an instance is registered, renewed and taken out
"""

from discovery.eureka.registrar import EurekaRegistrar
from discovery.eureka.registry import EurekaRegistry

__all__ = ["EurekaRegistrar", "EurekaRegistry"]
