"""Services in ZooKeeper.

registry        the watch: the children of a path are listed, read, and followed by ZooKeeper's one-shot watches
members         what is known of the children of one path, what has to be read next, and the snapshot that follows
session         one session with an ensemble, shared by all watches in this process: kazoo's threads seen from asyncio
client          kazoo, with its log tamed, its messages bounded and its sockets' patience ours
layout          what the three ways in which instances are written down have in common
curator         Curator's service discovery, which Spring Cloud uses too
serverset       Finagle's and Twitter's serversets, with their weight vectors
nerve           SmartStack's nerve
registrar       the provider's side: an ephemeral node in one of these layouts, and a session that keeps it
"""

from discovery.zookeeper.registrar import ZooKeeperRegistrar
from discovery.zookeeper.registry import ZooKeeperRegistry

__all__ = ["ZooKeeperRegistrar", "ZooKeeperRegistry"]
