"""The catalog of Consul: which services have tags that ask for routes. Their instances are the registry's concern."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from discovery.consul.registry import BURST, RATE, WAIT
from discovery.consul.shared import SharedAgent, read_token
from discovery.consul.tags import speak_of_routes
from discovery.instance import LONGEST_NAME
from discovery.rate import TokenBucket

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

MOST = 5000  # services that are followed


@dataclass(frozen=True, slots=True)
class Listing:
    """The services of a catalog that want routes, in the order of their names.

    `left_out` names what is not among them, with the reason.
    """

    names: tuple[str, ...]
    index: str = ""
    left_out: tuple[str, ...] = ()


class ConsulCatalog:
    """The catalog that the Consul agent at `address` knows; `token`, `token_file` and `datacenter` as in the registry.

    `languages` are those of the tags that count: fabio, traefik or both.
    """

    def __init__(
        self,
        address: str,
        *,
        token: str | None = None,
        token_file: Path | None = None,
        datacenter: str = "",
        languages: Sequence[str],
        wait: float = WAIT,
    ) -> None:
        self._agent = SharedAgent.at(address)
        self._token = token
        self._token_file = token_file
        self._query = [("dc", datacenter)] if datacenter else []
        self._languages = tuple(languages)
        self._wait = wait

    async def watch(self) -> AsyncGenerator[Listing]:
        """Yield a listing for each answer of Consul. Raises RegistryError when it cannot be read.

        What a listing does not name any more may still be there: Consul may have come back without its data, or the
        token may have lost its rights. Whether its instances are gone is for their own watch to say.
        """
        bucket = TokenBucket(RATE, BURST)
        loop = asyncio.get_running_loop()
        index = 0
        token = read_token(self._token, self._token_file)
        async with self._agent as agent:
            while True:
                await asyncio.sleep(bucket.take(loop.time()))
                answer = await agent.ask(
                    "/v1/catalog/services", self._query, token, index=index, wait=self._wait, content=dict
                )
                yield self._read(answer.content, str(answer.index))
                index = answer.index if answer.index >= index else 0

    def _read(self, services: dict[str, object], index: str) -> Listing:
        names: list[str] = []
        left_out: list[str] = []
        for name, tags in sorted(services.items()):
            if not isinstance(tags, list) or not speak_of_routes(tags, self._languages):
                continue
            if len(name) > LONGEST_NAME or not name.isprintable():
                left_out.append("a service whose name is not one printable line")
            else:
                names.append(name)
        if len(names) > MOST:
            left_out.append(f"{len(names) - MOST} services beyond the first {MOST}, from {names[MOST]} on")
        return Listing(tuple(names[:MOST]), index, tuple(left_out))
