"""Services in etcd.

registry        the watch: the keys below a prefix are listed, and then followed from that revision on
prefix          what is asked of etcd, and what follows from the answers
entries         the instance that a key and its value describe
registrar       the provider's side: a key with a lease
members         asks a cluster's members in turn
listing         which services there are
messages        how the gateway writes keys, values and numbers
gateway         HTTP, JSON and the login
"""

from discovery.etcd.registrar import EtcdRegistrar
from discovery.etcd.registry import EtcdRegistry

__all__ = ["EtcdRegistrar", "EtcdRegistry"]
