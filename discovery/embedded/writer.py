"""Carries operations from decided to acknowledged: durable first, then visible, then answered."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, TypeVar

from discovery.embedded.draft import Draft
from discovery.embedded.refusal import RefusedError
from discovery.embedded.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from discovery.embedded.catalog import Applied, Catalog
    from discovery.embedded.store import Store

log = logging.getLogger(__name__)

MOST_PENDING = 10_000  # operations that wait for the disk
BATCH = 500  # operations that one write to the disk carries

Answer = TypeVar("Answer")


class Writer:
    """The only one who changes the catalog.

    Operations that arrive while a write is under way make the next one together, so that many writers share the cost
    of reaching the disk. `applied` is called with each draft that became visible, before its operations are answered.
    """

    def __init__(self, catalog: Catalog, store: Store, applied: Callable[[Draft, Applied], None]) -> None:
        self._catalog = catalog
        self._store = store
        self._applied = applied
        self._pending: asyncio.Queue[tuple[Callable[[Draft], Any], asyncio.Future[Any]]] = asyncio.Queue(MOST_PENDING)

    async def submit(self, operation: Callable[[Draft], Answer]) -> Answer:
        """Do one operation, and return what it returned once it is durable and visible.

        Raises what the operation raised, and RefusedError when the registry is overloaded or its disk fails: then
        nothing of the operation was done.
        """
        done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        try:
            self._pending.put_nowait((operation, done))
        except asyncio.QueueFull:
            raise RefusedError(503, f"The registry is overloaded: {MOST_PENDING} changes are waiting") from None
        return await done

    async def run(self) -> None:
        """Work for ever."""
        while True:
            batch = [await self._pending.get()]
            while len(batch) < BATCH and not self._pending.empty():
                batch.append(self._pending.get_nowait())
            try:
                await self._carry(batch)
            finally:
                for _, done in batch:
                    if not done.done():
                        done.set_exception(RefusedError(503, "The registry stops"))

    async def _carry(self, batch: list[tuple[Callable[[Draft], Any], asyncio.Future[Any]]]) -> None:
        draft = Draft(self._catalog, asyncio.get_running_loop().time())
        answers = [(done, *_outcome(operation, draft)) for operation, done in batch]
        services, checks = draft.lasting()
        try:
            if services or checks:
                await self._store.write(draft.index, services, checks)
        except StoreError as error:
            log.error("changes were refused because they cannot be kept: %s", error)
            refused = RefusedError(500, f"The registry cannot write to its disk: {error}")
            answers = [(done, None, refused) for done, _, _ in answers]
        else:
            self._applied(draft, self._catalog.apply(draft))
        for done, answer, failed in answers:
            if done.done():  # whoever asked has gone
                continue
            if failed is None:
                done.set_result(answer)
            else:
                done.set_exception(failed)


def _outcome(operation: Callable[[Draft], Any], draft: Draft) -> tuple[Any, Exception | None]:
    try:
        return operation(draft), None
    except Exception as error:
        return None, error
