"""`pointsman drain`: no new requests for an endpoint of a running pointsman, over its admin API."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import aiohttp
import click
from yarl import URL

from config.units import parse_bind
from proxy.commands.running import FAILED, run_to_end, waiting

if TYPE_CHECKING:
    from config.units import Bind

_LOOK_AGAIN = 0.1  # seconds between two looks at what is in flight
_PATIENCE = 10.0  # seconds for one answer of the admin API
_LONGEST_ERROR = 300  # characters of an answer that is not the admin API's


class DrainError(Exception):
    """It could not be done; the text says why."""


@click.command()
@click.argument("service")
@click.argument("endpoint")
@click.option(
    "--admin", metavar="ADDRESS", default="127.0.0.1:9900", show_default=True,
    help="The admin address of the pointsman that is meant: host:port or unix:/path.",
)  # fmt: skip
@click.option("--undrain", is_flag=True, help="Let it have requests again.")
@click.option("--reason", metavar="TEXT", default="", help="Why, for whoever looks at it: 'new kernel'.")
@click.option("--wait", is_flag=True, help="Return when it has no request in flight any more.")
@click.option(
    "--timeout", metavar="DURATION", callback=waiting(), default="0s", help="With --wait: at most so long; 0s: no end."
)
def drain(service: str, endpoint: str, admin: str, undrain: bool, reason: str, wait: bool, timeout: float) -> None:
    """Give an endpoint no new requests; those in flight finish.

    ENDPOINT is its id or its address, as the admin API shows them. It stays drained whatever the registry says of it,
    until --undrain or until that pointsman ends.
    """
    if undrain and (wait or reason):
        raise click.UsageError("--undrain goes with neither --wait nor --reason")
    try:
        bind = parse_bind(admin)
    except ValueError as error:
        raise click.UsageError(f"--admin {error}") from error
    run_to_end(_reported(_drain(bind, service, endpoint, undrain, reason, timeout if wait else None)))


async def _reported(work: Any) -> int:
    try:
        await work
    except DrainError as error:
        click.echo(f"pointsman: {error}", err=True)
        return FAILED
    return 0


async def _drain(bind: Bind, service: str, endpoint: str, undrain: bool, reason: str, timeout: float | None) -> None:
    """Drain or undrain; with a `timeout` in seconds, 0 for none, wait until nothing is in flight. Raises DrainError."""
    async with _Api(bind) as api:
        path = f"/services/{quote(service, safe='')}/endpoints/{quote(endpoint, safe='')}"
        if undrain:
            shown = await api.ask("POST", f"{path}/undrain")
            click.echo(f"{shown['id']} of {service} is not drained: it is {shown['state']}")
            return
        shown = await api.ask("POST", f"{path}/drain", {"reason": reason} if reason else None)
        click.echo(f"{shown['id']} of {service} is {shown['reason']}; {shown['in_flight']} in flight")
        if timeout is None:
            return
        try:
            async with asyncio.timeout(timeout or None):
                while shown["in_flight"]:
                    await asyncio.sleep(_LOOK_AGAIN)
                    shown = await api.ask("GET", f"{path.rpartition('/')[0]}/{quote(shown['id'], safe='')}")
                    if not shown["drained"]:
                        raise DrainError(f"{shown['id']} of {service} was undrained meanwhile")
        except TimeoutError as error:
            raise DrainError(f"{shown['in_flight']} still in flight after {timeout:g} s") from error
        click.echo("nothing is in flight")


class _Api:
    """The admin API of a running pointsman."""

    def __init__(self, bind: Bind) -> None:
        self._bind = bind
        host = bind.host or "127.0.0.1"
        self._base = "http://localhost" if bind.path else f"http://{f'[{host}]' if ':' in host else host}:{bind.port}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(path=bind.path) if bind.path else None,
            timeout=aiohttp.ClientTimeout(total=_PATIENCE),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Return what is answered. Raises DrainError."""
        url = URL(f"{self._base}/api/v1{path}", encoded=True)
        try:
            async with self._session.request(method, url, json=body) as response:
                text = await response.text(errors="replace")
        except TimeoutError as error:
            raise DrainError(f"the admin address {self._bind} did not answer within {_PATIENCE:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise DrainError(f"the admin address {self._bind} cannot be asked: {error}") from error
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or response.status != 200:
            why = (
                answer.get("error") if isinstance(answer, dict) else f"HTTP {response.status}: {text[:_LONGEST_ERROR]}"
            )
            raise DrainError(str(why or f"HTTP {response.status}"))
        return answer
