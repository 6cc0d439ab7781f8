"""A service read from the cache that the local agent keeps: many readers on one machine cost the servers one watch.

What Consul 1.8 does, found out by cutting an agent off from its servers:

- the header Age comes only with a cached answer that was not waited for; it is 0 while the agent is connected, and
  grows once it has noticed that it is not;
- a blocking query of the cache is refused with a 500 as soon as the agent knows that there is no server.

So changes are waited for by blocking queries, and whenever one brings none the age is asked for.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from discovery.rate import TokenBucket
from discovery.registry import RegistryError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from discovery.consul.shared import Answer, SharedAgent

BURST = 10
RATE = 20.0  # reads a second, as without the cache
PAUSE = 1.0  # seconds between two looks at a cache that is cut off


async def cached_answers(
    agent: SharedAgent, path: str, query: Sequence[tuple[str, str]], token: str | None, *, wait: float, max_age: float
) -> AsyncGenerator[tuple[Answer, bool]]:
    """Yield the cache's answers, and whether nothing was missed before each.

    `max_age`, if it is not 0, is for how many seconds the cache may be cut off: beyond that it is no answer any more.
    Raises RegistryError then, and when the agent itself cannot be asked.
    """
    asked = [*query, ("cached", "")]
    if max_age:
        wait = min(wait, max(max_age / 2, 1.0))
    bucket = TokenBucket(RATE, BURST)
    index = 0
    is_fresh = False  # what the cache says follows what it said before without a gap
    refusal: RegistryError | None = None
    while True:
        await asyncio.sleep(bucket.take(asyncio.get_running_loop().time()))
        answer: Answer | None = None
        if index:
            refusal = None
            try:
                answer = await agent.ask(path, asked, token, index=index, wait=wait)
            except RegistryError as error:
                refusal = error
                is_fresh = False
            else:
                if answer.index < index:
                    is_fresh = False
        if answer is None or answer.index == index:
            answer = await agent.ask(path, asked, token)
        if max_age and answer.age > max_age:
            why = f" ({refusal})" if refusal else ""
            raise agent.refuse(f"its cache has been cut off for {answer.age:.0f} s, max_age is {max_age:g} s{why}")
        yield answer, is_fresh
        is_fresh = answer.age == 0 and refusal is None
        index = answer.index
        if refusal is not None:
            await asyncio.sleep(PAUSE)
