"""`pointsman drain`: no new requests for an endpoint of a running pointsman, over its admin API."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from proxy.commands.asking import AdminApi, AskingError, admin_bind, at_admin, reported
from proxy.commands.running import run_to_end, waiting

if TYPE_CHECKING:
    from config.units import Bind

_LOOK_AGAIN = 0.1  # seconds between two looks at what is in flight


@click.command()
@click.argument("service")
@click.argument("endpoint")
@at_admin
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
    bind = admin_bind(admin)
    run_to_end(reported(_drain(bind, service, endpoint, undrain, reason, timeout if wait else None)))


async def _drain(bind: Bind, service: str, endpoint: str, undrain: bool, reason: str, timeout: float | None) -> None:
    """Drain or undrain; with a `timeout` in seconds, 0 for none, wait until nothing is in flight.

    Raises AskingError.
    """
    async with AdminApi(bind) as api:
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
                        raise AskingError(f"{shown['id']} of {service} was undrained meanwhile")
        except TimeoutError as error:
            raise AskingError(f"{shown['in_flight']} still in flight after {timeout:g} s") from error
        click.echo("nothing is in flight")
