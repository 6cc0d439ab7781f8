"""`pointsman reload`: a running pointsman takes its configuration file into force anew, over its admin API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from proxy.commands.asking import AdminApi, admin_bind, at_admin, reported
from proxy.commands.running import run_to_end

if TYPE_CHECKING:
    from config.units import Bind

_PATIENCE = 90.0  # seconds; two reloads, the one under way and ours


@click.command()
@at_admin
def reload(admin: str) -> None:
    """Take the configuration file into force anew, all of it or nothing.

    Tells what has changed, or everything that is wrong with it; then all stays as it was, and the exit status is 1.
    """
    run_to_end(reported(_reload(admin_bind(admin))))


async def _reload(bind: Bind) -> None:
    async with AdminApi(bind, _PATIENCE) as api:
        outcome = await api.ask("POST", "/-/reload")
    for text in outcome["changed"]:
        click.echo(text)
    click.echo("reloaded" if outcome["changed"] else "nothing has changed")
