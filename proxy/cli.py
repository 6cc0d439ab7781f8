"""The command line.

Exit status: 0 fine, 1 failed while running, 2 bad usage or configuration, 3 an address cannot be bound.
"""

from __future__ import annotations

import gc
import json
import signal
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from compiled import loading
from config.takeover import Takeover
from config.units import Bind, parse_bind
from proxy import logs
from proxy.application import Application
from proxy.assemble.files import check_files
from proxy.build_info import build_info
from proxy.commands.running import FILE, config_of, load_config, read_config, run_to_end
from proxy.config_file import ConfigFile
from proxy.descriptors import raise_file_limit
from proxy.sockets import BindError
from proxy.systemd import ActivationError, activated
from proxy.takeover.places import socket_path

if TYPE_CHECKING:
    from config.model import Config
    from proxy.config_file import Loaded
    from proxy.takeover.claim import Claim


class _BindType(click.ParamType[Bind]):
    name = "address"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Bind:
        if isinstance(value, Bind):
            return value
        try:
            return parse_bind(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


# The commands that have a file of their own, and where each is found.
_ELSEWHERE = {
    "discover": "proxy.commands.discover:discover",
    "drain": "proxy.commands.drain:drain",
    "register": "proxy.commands.register:register",
    "reload": "proxy.commands.reload:reload",
    "services": "proxy.commands.services:services",
    "simulate": "proxy.simulate.command:simulate_command",
    "split": "proxy.commands.split:split",
}


class _Commands(click.Group):
    """Loads a command's file when the command is run, or shown in the list of all: most bring libraries along."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_ELSEWHERE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module, _, name = _ELSEWHERE[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Pointsman: an HTTP load balancer that follows live service registries."""


@main.command()
@click.option("-c", "--config", "file", type=FILE, help="The configuration file.")
@click.option(
    "--takeover",
    metavar="[SOCKET]",
    is_flag=False,
    flag_value="",
    help="Take the place of the process that runs, without a refused or broken connection. It is found where the "
    "file's takeover key says, or at this socket.",
)
@click.option("--background", is_flag=True, help="With --takeover: end once it has taken over; it goes on by itself.")
@click.option("--listen", metavar="ADDRESS", help="Without a file: accept requests here, as in 127.0.0.1:8080.")
@click.option("--to", "instances", metavar="HOST:PORT", multiple=True, help="Without a file: an instance; repeatable.")
@click.option("--balancer", metavar="NAME", help="Without a file: the policy that picks an instance.")
@click.option("--admin", metavar="ADDRESS", help="Without a file: the admin API and the metrics here.")
def run(
    file: Path | None,
    takeover: str | None,
    background: bool,
    listen: str | None,
    instances: tuple[str, ...],
    balancer: str | None,
    admin: str | None,
) -> None:
    """Balance load, as a file says or between the instances named."""
    by_hand = listen is not None or bool(instances) or balancer is not None or admin is not None
    if file is not None and by_hand:
        raise click.UsageError("-c FILE says everything: leave out --listen, --to, --balancer and --admin")
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it means to reload
    read: tuple[ConfigFile | None, Loaded | None] = None, None
    if file is not None:
        read = ConfigFile(file.absolute()), read_config(file)
        config = read[1].config
    elif listen and instances:
        config = _by_hand(listen, instances, balancer, admin)
    else:
        raise click.UsageError("say what to run: -c FILE, or --listen ADDRESS with at least one --to HOST:PORT")
    logs.set_up(config.log.level, config.log.format)
    claim = None if takeover is None else claim_of(config, takeover)
    if background:
        if claim is None:
            raise click.UsageError("--background goes with --takeover")
        from proxy.takeover.background import into_background

        claim.on_success = into_background()
    if config.workers != 1:
        from proxy.workers.running import run_with_workers, workers_of

        count = workers_of(config.workers)
        if count > 1:
            run_with_workers(count, config, *read, claim)
    run_to_end(_serve(config, *read, claim))


def claim_of(config: Config, path: str) -> Claim:
    """Say from whom to take over: at a path, or else where the file says. Raises click.UsageError."""
    found = Path(path).absolute() if path else socket_path(config)
    if found is None:
        raise click.UsageError("--takeover needs the key takeover in the file, or the socket of the process that runs")
    from proxy.takeover.claim import Claim

    return Claim(found, config.takeover.timeout if config.takeover else Takeover().timeout)


@main.command()
@click.option("-c", "--config", "file", type=FILE, required=True, help="The configuration file.")
def validate(file: Path) -> None:
    """Say everything that is wrong with a configuration file, and with the files of TLS and of users that it names."""
    config = load_config(file, model=None, last=check_files)
    parts = [_count(len(config.listeners), "listener"), _count(len(config.services), "service")]
    if config.registered:
        parts.append(_count(len(config.registered), "registration"))
    click.echo(f"{file}: fine; {', '.join(parts)}")


@main.command()
def schema() -> None:
    """Print the JSON schema of the configuration file."""
    from config.schema import schema as config_schema

    click.echo(json.dumps(config_schema(), indent=2))


@main.command()
@click.option(
    "--bind", type=_BindType(), default="127.0.0.1:8500", show_default=True, help="Where its HTTP API listens."
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("registry"),
    show_default=True,
    help="The folder in which it keeps what is registered.",
)
def registry(bind: Bind, data_dir: Path) -> None:
    """Run the embedded registry by itself."""
    if bind.path:
        raise click.UsageError("--bind must be host:port: Consul's clients do not know unix sockets")
    from proxy.registry_command import serve_registry

    logs.set_up("info", "text")
    run_to_end(serve_registry(bind, data_dir))


@main.command()
@click.option("--listen", type=_BindType(), default="127.0.0.1:8080", show_default=True, help="Accept requests here.")
@click.option("--admin", type=_BindType(), default="127.0.0.1:9900", show_default=True, help="The admin API.")
@click.option("--registry", "bind", type=_BindType(), default="127.0.0.1:8500", show_default=True, help="The registry.")
def demo(listen: Bind, admin: Bind, bind: Bind) -> None:
    """Show it at work: a registry, three instances, a listener."""
    for name, address in (("--listen", listen), ("--admin", admin), ("--registry", bind)):
        if not (address.host and address.port):
            raise click.UsageError(f"{name} must be host:port with a port of its own, as in 127.0.0.1:8080")
    from proxy.demo import show

    logs.set_up("info", "text")
    run_to_end(show(listen, admin, bind))


@main.command()
def version() -> None:
    """Print the version, and whether the data path is compiled, or why not."""
    build = build_info()
    click.echo(f"pointsman {build['version']} (Python {build['python']}), {loading.outcome}")


async def _serve(config: Config, file: ConfigFile | None, loaded: Loaded | None, claim: Claim | None) -> int:
    raise_file_limit()
    # What was loaded so far stays for ever; the collector need not look at it again in every full collection.
    gc.collect()
    gc.freeze()
    try:
        sockets = activated() if claim is None else []
    except ActivationError as error:
        raise BindError(str(error)) from error
    application = Application(config, file, loaded, sockets, claim)
    status = await application.run()
    if application.died:
        click.echo(f"pointsman: ended because {application.died}", err=True)
    return status


def _by_hand(listen: str, instances: tuple[str, ...], balancer: str | None, admin: str | None) -> Config:
    """Build the configuration that the options stand for."""
    return config_of(
        {
            "listeners": [{"bind": listen}],
            "routes": [{"service": "default"}],
            "services": {
                "default": {
                    "discovery": {"static": list(instances)},
                    **({"balancer": balancer} if balancer else {}),
                }
            },
            **({"admin": {"bind": admin}} if admin else {}),
            "log": {"format": "text"},
        }
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
