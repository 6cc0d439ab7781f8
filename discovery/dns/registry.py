"""Names in the DNS, asked for again whenever their TTL has passed: there is nobody to tell us of a change.

Between us and the name servers there is no cache, so that a TTL is what the servers say and nothing on top. How an
answer is read is the concern of answers, which server is asked that of servers.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import dns.name
import dns.rdatatype

from discovery.dns.answers import ADDRESS_TYPES, Answer, merge, targets_by_priority
from discovery.dns.servers import RESOLV_CONF, NameServers
from discovery.instance import NO_METADATA, Instance, Snapshot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from config.units import Address

T = TypeVar("T")

_TYPES = {"a": (dns.rdatatype.A,), "aaaa": (dns.rdatatype.AAAA,), "both": ADDRESS_TYPES}


class DnsRegistry:
    """The addresses of `name`, each an instance at `port`; with `type` `srv` the addresses of its targets.

    `type` is `a`, `aaaa`, `both` or `srv`, which needs no port. `servers` are the name servers to ask, in turn; without
    any they are those of the file `resolv_conf`. `timeout` is how many seconds one may take. Two looks are as many
    seconds apart as the smallest TTL says, from `ttl_min` to `ttl_max`.
    """

    def __init__(
        self,
        name: str,
        *,
        type: str = "both",
        port: int = 0,
        servers: Sequence[Address] = (),
        ttl_min: float = 1.0,
        ttl_max: float = 300.0,
        timeout: float = 2.0,
        resolv_conf: Path = RESOLV_CONF,
    ) -> None:
        self._name = dns.name.from_text(name)  # an absolute one, with or without a dot at its end
        self._type = type
        self._port = port
        self._servers = tuple(servers)
        self._ttl_min = ttl_min
        self._ttl_max = ttl_max
        self._timeout = timeout
        self._resolv_conf = resolv_conf

    async def watch(self, service: str) -> AsyncIterator[Snapshot]:
        """Yield a snapshot at each look. One by another name server than the last is not continuous."""
        servers = NameServers(self._servers, self._timeout, resolv_conf=self._resolv_conf)
        began = False
        while True:
            before = servers.preferred
            found = await self._look(servers)
            continuous = began and servers.preferred == before
            yield Snapshot(service, found.instances, continuous=continuous, unreadable=found.unreadable)
            began = True
            await asyncio.sleep(min(max(found.ttl, self._ttl_min), self._ttl_max))

    async def _look(self, servers: NameServers) -> _Found:
        if self._type == "srv":
            return await _targets(servers, await servers.ask(self._name, dns.rdatatype.SRV))
        answers = await _all(servers.ask(self._name, kind) for kind in _TYPES[self._type])
        return _Found(merge(_instances(answers, self._port)), (), min(answer.ttl for answer in answers))


@dataclass(frozen=True, slots=True)
class _Found:
    instances: tuple[Instance, ...]
    unreadable: tuple[str, ...]
    ttl: int  # seconds


async def _targets(servers: NameServers, answer: Answer) -> _Found:
    """Find the addresses of the targets of the first priority that has any."""
    instances: list[Instance] = []
    unreadable: list[str] = []
    ttl = answer.ttl
    for group in targets_by_priority(answer.records):
        names = list(dict.fromkeys(target.name for target in group))
        found = dict(zip(names, await _all(_addresses(servers, name, answer) for name in names), strict=True))
        for target in group:
            addresses = found[target.name]
            ttl = min([ttl, *(one.ttl for one in addresses)])
            if not target.port:
                unreadable.append(f"{target}: has no port")
            elif not any(one.records for one in addresses):
                unreadable.append(f"{target}: has no address")
            else:
                metadata = {"target": target.name.to_text(omit_final_dot=True), "priority": str(target.priority)}
                instances += _instances(addresses, target.port, target.weight, metadata)
        if instances:
            break
    return _Found(merge(instances), tuple(unreadable), ttl)


async def _addresses(servers: NameServers, target: dns.name.Name, answer: Answer) -> list[Answer]:
    """Return the addresses of a target: those that came along with the SRV records, or else ask for them.

    A server leaves out what has no room, and does not say so (RFC 2181, section 9). Where some target's addresses of
    one family came along, those of the others must have come too, or they are asked for.
    """
    targets = {record.target for record in answer.records}
    kinds = {kind for name, kind in answer.additional if name in targets}
    came = [answer.additional[target, kind] for kind in kinds if (target, kind) in answer.additional]
    if kinds and len(came) == len(kinds):
        return came
    return await _all(servers.ask(target, kind) for kind in ADDRESS_TYPES)


def _instances(
    answers: Iterable[Answer], port: int, weight: int = 1, metadata: Mapping[str, str] = NO_METADATA
) -> Iterator[Instance]:
    for answer in answers:
        for record in answer.records:
            address = record.address
            identity = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
            yield Instance(identity, address, port, weight, metadata=metadata)


async def _all(questions: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Return the answers to all the questions, which are asked at once; when one fails, the others are called off."""
    tasks = [asyncio.ensure_future(question) for question in questions]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
