"""Services in etcd.

registry        the watch: the keys below a prefix are listed, and then followed from that revision on
prefix          what is asked of etcd, and what follows from the answers
entries         the instance that a key and its value describe
gateway         HTTP, JSON and the login
"""

from discovery.etcd.registry import EtcdRegistry

__all__ = ["EtcdRegistry"]
