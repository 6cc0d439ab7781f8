"""The admin API of a running pointsman, as commands ask it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import click
from yarl import URL

from config.units import parse_bind
from proxy.commands.running import FAILED

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from config.units import Bind

_PATIENCE = 10.0  # seconds for one answer of the admin API
_LONGEST_ERROR = 300  # characters of an answer that is not the admin API's

at_admin = click.option(
    "--admin", metavar="ADDRESS", default="127.0.0.1:9900", show_default=True,
    help="The admin address of the pointsman that is meant: host:port or unix:/path.",
)  # fmt: skip


class AskingError(Exception):
    """It could not be done; the text says why."""


def admin_bind(text: str) -> Bind:
    """Read an admin address. Raises click.UsageError."""
    try:
        return parse_bind(text)
    except ValueError as error:
        raise click.UsageError(f"--admin {error}") from error


async def reported(work: Awaitable[object]) -> int:
    """Do something and return the exit status; an AskingError is told on standard error."""
    try:
        await work
    except AskingError as error:
        click.echo(f"pointsman: {error}", err=True)
        return FAILED
    return 0


class AdminApi:
    """The admin API of a running pointsman."""

    def __init__(self, bind: Bind, patience: float = _PATIENCE) -> None:
        self._bind = bind
        self._patience = patience
        host = bind.host or "127.0.0.1"
        self._base = "http://localhost" if bind.path else f"http://{f'[{host}]' if ':' in host else host}:{bind.port}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(path=bind.path) if bind.path else None,
            timeout=aiohttp.ClientTimeout(total=patience),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Return what is answered to a path of the API, or to one of those that begin with /-/. Raises AskingError."""
        url = URL(f"{self._base}{'' if path.startswith('/-/') else '/api/v1'}{path}", encoded=True)
        try:
            async with self._session.request(method, url, json=body) as response:
                text = await response.text(errors="replace")
        except TimeoutError as error:
            raise AskingError(f"the admin address {self._bind} did not answer within {self._patience:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise AskingError(f"the admin address {self._bind} cannot be asked: {error}") from error
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or response.status != 200:
            why = (
                answer.get("error") if isinstance(answer, dict) else f"HTTP {response.status}: {text[:_LONGEST_ERROR]}"
            )
            raise AskingError(str(why or f"HTTP {response.status}"))
        return answer
