"""`pointsman services`: the services that a registry holds, or that a configuration file has."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import click

from discovery.catalog import Catalog, Listed
from discovery.registry import RegistryError
from proxy import logs
from proxy.commands.naming import SERVICE, Named, named
from proxy.commands.register import keys_of
from proxy.commands.running import FILE, load_config, run_to_end, waiting
from proxy.commands.showing import service_json, services_table, table

if TYPE_CHECKING:
    from pathlib import Path

# Those that can only be asked for a service by its name, or hold one only.
_WITHOUT_A_LIST = ("dns", "file", "http", "docker", "swarm", "mesos", "marathon")

# Below which path the services are, where names are paths and none is given.
BELOW = {"etcd": "/services/", "zookeeper": "/services"}


@click.command()
@click.argument("where", metavar="[REGISTRY", required=False)
@click.argument("below", metavar="[BELOW]]", default="")
@click.option("-c", "--config", "file", type=FILE, help="A configuration file, whose services are listed.")
@click.option(
    "-o", "--option", "options", metavar="KEY=VALUE", multiple=True,
    help="Another key of the registry, as under discovery: in the file: token_file=PATH; repeatable.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option(
    "--timeout", metavar="DURATION", callback=waiting(0.1), default="10s", show_default=True,
    help="How long to wait for an answer.",
)  # fmt: skip
def services(
    where: str | None, below: str, file: Path | None, options: tuple[str, ...], as_json: bool, timeout: float
) -> None:
    """List the services that a registry holds.

    REGISTRY is its kind, or kind and address: consul, consul:http://10.0.0.1:8500, etcd:http://10.0.0.2:2379. BELOW is
    for registries whose names are paths: /services/ in etcd, /services in ZooKeeper.
    """
    if (where is None) == (file is None):
        raise click.UsageError("say of what: REGISTRY such as consul:http://127.0.0.1:8500, or -c FILE")
    if file is not None:
        _show_file(file, as_json)
        return
    assert where is not None
    kind = where.partition(":")[0]
    if kind in _WITHOUT_A_LIST:
        raise click.UsageError(f"{kind} cannot list its services; pointsman discover shows one by its name")
    found = named(where, below or BELOW.get(kind, SERVICE), keys_of(options))
    if not isinstance(found.registry, Catalog):
        raise click.UsageError(f"{kind} cannot list its services; pointsman discover shows one by its name")
    logs.set_up("warning", "text")
    run_to_end(_show(found, found.registry, as_json, timeout))


async def _show(found: Named, catalog: Catalog, as_json: bool, timeout: float) -> int:
    try:
        async with asyncio.timeout(timeout):
            listed: tuple[Listed, ...] = await catalog.services(found.name)
    except TimeoutError as error:
        raise RegistryError(f"{found.kind}: no answer within {timeout:g} s") from error
    if as_json:
        click.echo(json.dumps([service_json(one) for one in listed], ensure_ascii=False, indent=2))
    elif listed:
        click.echo(services_table(listed))
    else:
        click.echo("the registry holds no service", err=True)
    return 0


def _show_file(file: Path, as_json: bool) -> None:
    kinds = {name: [source.kind for source in wanted.sources] for name, wanted in load_config(file).services.items()}
    if as_json:
        click.echo(json.dumps([{"name": name, "registries": found} for name, found in kinds.items()], indent=2))
    else:
        click.echo(table(["SERVICE", "REGISTRIES"], [[name, ",".join(found)] for name, found in kinds.items()]))
