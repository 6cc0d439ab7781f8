"""Names in the DNS.

registry        the watch: a name is asked for again whenever its TTL has passed
answers         what a name server says: addresses and SRV records with their TTL
servers         which name server is asked, and which after it
"""

from discovery.dns.registry import DnsRegistry

__all__ = ["DnsRegistry"]
