"""The members of an etcd cluster, asked one question after the other for a long time: at the one that last answered."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from yarl import URL

from discovery.etcd.gateway import EtcdError, Gateway, Login, RefusedError
from discovery.registry import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Members:
    """Asks the members at `endpoints`, in turn as long as they fail. Each member is logged in to once.

    It must be closed.
    """

    def __init__(self, endpoints: Iterable[str], login: Login | None, timeout: float) -> None:
        self._endpoints = list(endpoints)
        self._login = login
        self._timeout = timeout
        self._open = AsyncExitStack()
        self._gateway: Gateway | None = None

    async def ask(self, path: str, question: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a question.

        Raises RefusedError when a member understood the question and said no, and RegistryError when none answers.
        """
        complaints: list[str] = []
        for endpoint in tuple(self._endpoints):
            try:
                if self._gateway is None:
                    self._gateway = await self._open.enter_async_context(Gateway(endpoint, self._login, self._timeout))
                return await self._gateway.ask(path, question)
            except EtcdError as error:
                if isinstance(error, RefusedError) and error.status < 500:
                    raise
                complaints.append(f"etcd at {URL(endpoint).with_user(None)}: {error}")
                self._endpoints.sort(key=lambda other: other == endpoint)  # its turn comes last now
                await self.close()
        raise RegistryError("; ".join(complaints))

    async def close(self) -> None:
        """Close the connection; the next question opens another."""
        self._gateway = None
        await self._open.aclose()
