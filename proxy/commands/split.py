"""`pointsman split`: the weights of a split of a running pointsman, over its admin API."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from proxy.commands.asking import AdminApi, admin_bind, at_admin, reported
from proxy.commands.running import run_to_end

if TYPE_CHECKING:
    from config.units import Bind


@click.command()
@click.argument("name")
@click.argument("weights", metavar="[SERVICE=WEIGHT]...", nargs=-1)
@at_admin
def split(name: str, weights: tuple[str, ...], admin: str) -> None:
    """Share the requests of a split anew, or show how they are shared.

    A service that is left out keeps its weight. It holds until it is changed again, or that pointsman ends.
    """
    wanted: dict[str, int] = {}
    for word in weights:
        found = re.fullmatch(r"([^=]+)=([0-9]{1,9})", word)
        if found is None:
            raise click.UsageError(f"say SERVICE=WEIGHT, as in canary=5, not {word!r}")
        if found[1] in wanted:
            raise click.UsageError(f"{found[1]} has two weights: keep one")
        wanted[found[1]] = int(found[2])
    run_to_end(reported(_split(admin_bind(admin), name, wanted)))


async def _split(bind: Bind, name: str, weights: dict[str, int]) -> None:
    """Change the weights, if any are given, and show them. Raises AskingError."""
    async with AdminApi(bind) as api:
        path = f"/splits/{quote(name, safe='')}"
        shown = await (api.ask("PATCH", path, {"services": weights}) if weights else api.ask("GET", path))
        for service, weight in shown["services"].items():
            click.echo(f"{service}: weight {weight}, {shown['shares'][service]:.1%} of what is new")
