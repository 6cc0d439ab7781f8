"""Read what a name server answers: the records of a name, how long they hold, and whether there are none or no answer.

What is decided here is which answers may empty a service. That a name has no such records is a good answer (RFC 2308);
that a server could not or would not find out is none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype

from discovery.instance import MAX_WEIGHT, Instance

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ADDRESS_TYPES = (dns.rdatatype.A, dns.rdatatype.AAAA)


@dataclass(frozen=True, slots=True)
class Answer:
    """The records that a name has of the type that was asked for; `ttl` is how many seconds they hold.

    `additional` are addresses of other names that came along, by name and type.
    """

    records: tuple[Any, ...]  # dnspython's records have attributes of their own for each type
    ttl: int
    additional: Mapping[tuple[dns.name.Name, dns.rdatatype.RdataType], Answer] = field(default_factory=dict)


def read(response: dns.message.Message) -> Answer:
    """Return the answer, through aliases.

    Raises ValueError, or dnspython's DNSException, when the server did not find out.
    """
    code = response.rcode()
    if code not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) or not isinstance(response, dns.message.QueryMessage):
        raise ValueError(dns.rcode.to_text(code))
    chain = response.resolve_chaining()
    if chain.answer is not None:
        return Answer(tuple(chain.answer), chain.minimum_ttl, _additional(response))
    authority = {records.rdtype for records in response.authority}
    if dns.rdatatype.SOA in authority:
        return Answer((), chain.minimum_ttl)
    # Without an SOA record it is not to be remembered (RFC 2308, section 5). What then names other servers is no answer
    # but a referral (section 2.2), and an alias may lead to where a server that is not recursive does not look.
    is_recursive = response.flags & dns.flags.RA
    if code == dns.rcode.NOERROR and (dns.rdatatype.NS in authority or (chain.cnames and not is_recursive)):
        raise ValueError("refers to elsewhere; a name server that looks there for us (a recursive one) is needed")
    return Answer((), 0)


def _additional(
    response: dns.message.Message,
) -> dict[tuple[dns.name.Name, dns.rdatatype.RdataType], Answer]:
    return {
        (records.name, records.rdtype): Answer(tuple(records), records.ttl)
        for records in response.additional
        if records.rdclass == dns.rdataclass.IN and records.rdtype in ADDRESS_TYPES
    }


@dataclass(frozen=True, slots=True)
class Target:
    """One SRV record: a name, a port, and the share of the requests that its addresses get."""

    name: dns.name.Name
    port: int
    weight: int
    priority: int

    def __str__(self) -> str:
        return f"{self.name.to_text(omit_final_dot=True)}:{self.port}"


def targets_by_priority(records: Iterable[Any]) -> Iterator[list[Target]]:
    """Yield the targets of the SRV records that are to be tried first, then those to be tried second, and so on.

    A weight of 0 becomes 1: by the algorithm of RFC 2782, such a record is picked once in one more than the sum of the
    weights. A target `.` says that there is no such service, and is none.
    """
    groups: dict[int, list[Target]] = {}
    for record in records:
        if len(record.target) > 1:
            target = Target(record.target, record.port, max(record.weight, 1), record.priority)
            groups.setdefault(target.priority, []).append(target)
    for priority in sorted(groups):
        yield sorted(groups[priority], key=lambda target: (target.name, target.port, target.weight))


def merge(instances: Iterable[Instance]) -> tuple[Instance, ...]:
    """Make one instance of those that share an identity, with the sum of their weights; order them by identity.

    Two targets of a service may be names of one machine. Name servers shuffle their answers, so the order says nothing.
    """
    merged: dict[str, Instance] = {}
    for instance in instances:
        known = merged.get(instance.id)
        if known is not None:
            weight = min(known.weight + instance.weight, MAX_WEIGHT)
            instance = Instance(known.id, known.address, known.port, weight, metadata=known.metadata)
        merged[instance.id] = instance
    return tuple(merged[identity] for identity in sorted(merged))
