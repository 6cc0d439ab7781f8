"""`pointsman register`: keep an instance in a registry for as long as its process runs."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click
import yaml

from config.provider import Provider
from config.register import TARGETS_LISTED
from proxy import logs
from proxy.commands.child import Child, CommandError
from proxy.commands.running import FAILED, FILE, config_of, end_with, load_config, run_to_end
from proxy.journal import Journal
from proxy.registrations import Registrations
from proxy.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from config.model import Config

# The key of each registry that its option on the command line stands for, and whether there may be several of it.
ADDRESSES = {
    "consul": ("address", False),
    "etcd": ("endpoints", True),
    "eureka": ("urls", True),
    "zookeeper": ("hosts", True),
}

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)  # first the instance is taken out, then they are passed on
PASSED_ON = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGALRM, signal.SIGCONT)

_log = logging.getLogger(__name__)


def key_and_value(text: str) -> tuple[str, str]:
    """Read `KEY=VALUE`."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise click.UsageError(f"{text!r} must be KEY=VALUE")
    return key, value


def keys_of(options: tuple[str, ...]) -> dict[str, Any]:
    """Read the keys of a registry, whose values are YAML, as in the configuration file."""
    keys: dict[str, Any] = {}
    for text in options:
        key, value = key_and_value(text)
        try:
            keys[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            keys[key] = value
    return keys


def _registries(command: Callable[..., None]) -> Callable[..., None]:
    """Give the command an option for each registry."""
    for kind, (_, several) in reversed(ADDRESSES.items()):
        told = "Register there; repeatable, for the members of a cluster." if several else "Register there."
        command = click.option(f"--{kind}", metavar="ADDRESS", multiple=several, help=told)(command)
    return command


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("-c", "--config", "file", type=FILE, help="A file with a register: block, instead of the options below.")
@_registries
@click.option(
    "-o", "--option", "options", metavar="KEY=VALUE", multiple=True,
    help="Another key of the registry, as under register: in the file: token_file=PATH; repeatable.",
)  # fmt: skip
@click.option("--service", metavar="NAME", help="The service that it is an instance of.")
@click.option("--id", "identity", metavar="ID", help="Its identity; default: service, machine and port.")
@click.option("--address", metavar="HOST", help="Where others reach it; found out if not given.")
@click.option("--port", type=int, help="Its port.")
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="A label; repeatable.")
@click.option("--meta", metavar="KEY=VALUE", multiple=True, help="A name and a value; repeatable.")
@click.option("--weight", type=int, help="Its share of the requests.  [default: 1]")
@click.option("--zone", metavar="NAME", help="The zone it runs in.")
@click.option("--check-http", metavar="PATH", help="It works while a GET of this path is answered with 200 to 399.")
@click.option("--check-tcp", is_flag=True, help="It works while its port accepts connections; this is the default.")
@click.option("--no-check", is_flag=True, help="It works for as long as it runs.")
@click.option("--check-interval", metavar="DURATION", help="From one check to the next.  [default: 2s]")
@click.option("--check-timeout", metavar="DURATION", help="A check that takes longer failed.  [default: 2s]")
@click.option("--rise", type=int, help="Checks in a row that must pass.  [default: 1]")
@click.option("--fall", type=int, help="Checks in a row that must fail.  [default: 3]")
@click.option("--ttl", metavar="DURATION", help="How long the registry keeps it without news.  [default: 15s]")
@click.option(
    "--deregister-delay", metavar="DURATION",
    help="When ending, how long to go on once it was taken out.  [default: 2s]",
)  # fmt: skip
@click.option("--drain-timeout", metavar="DURATION", help="When ending, how long COMMAND may take.  [default: 30s]")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND [ARGS]...]")
def register(file: Path | None, command: tuple[str, ...], **given: Any) -> None:
    """Keep an instance in a registry, and run COMMAND, which is that instance.

    It is registered once its check passes, and taken out when the check fails or COMMAND ends. SIGTERM, SIGINT and
    SIGQUIT take it out first, and are passed on to COMMAND after the delay; other signals are passed on at once. The
    exit status is that of COMMAND. Without COMMAND it stays until a signal ends it.
    """
    given = {name: value for name, value in given.items() if value not in (None, (), False)}
    if file is None:
        config = config_of(_as_written(given), Provider)
    elif given:
        raise click.UsageError("-c FILE says everything: leave out the other options")
    else:
        config = load_config(file, Provider)
    for wanted in config.registered:
        if wanted.port is None:
            end_with(f"pointsman: the instance of {wanted.service} needs a port: " + (
                "give it in the file" if file else "give --port"
            ))  # fmt: skip
    logs.set_up(config.log.level, config.log.format)
    run_to_end(_run(config, command))


def _as_written(given: dict[str, Any]) -> dict[str, Any]:
    """Write the options as the file would have them."""
    kinds = [kind for kind in ADDRESSES if kind in given]
    if len(kinds) != 1:
        raise click.UsageError(f"say where to register: -c FILE, or one of {TARGETS_LISTED} as in --consul http://…")
    if "service" not in given:
        raise click.UsageError("say what to register: --service NAME")
    key, several = ADDRESSES[kinds[0]]
    address = given[kinds[0]]
    registry = {key: list(address) if several else address, **keys_of(given.get("options", ()))}
    ways = [way for way in ("check_http", "check_tcp", "no_check") if way in given]
    if len(ways) > 1:
        raise click.UsageError("keep one of --check-http, --check-tcp and --no-check")
    way: dict[str, Any] = {"tcp": True}
    if "check_http" in given:
        way = {"http": given["check_http"]}
    elif "no_check" in given:
        way = {"none": True}
    probe = {"check_interval": "interval", "check_timeout": "timeout", "rise": "rise", "fall": "fall"}
    instance = {"identity": "id"} | {
        name: name for name in ("service", "address", "port", "weight", "zone", "ttl", "deregister_delay")
    }
    return {
        "register": {
            kinds[0]: registry,
            **{key: given[name] for name, key in instance.items() if name in given},
            **({"tags": list(given["tags"])} if "tags" in given else {}),
            **({"metadata": dict(map(key_and_value, given["meta"]))} if "meta" in given else {}),
            "probe": way | {key: given[name] for name, key in probe.items() if name in given},
        },
        "log": {"format": "text"},
        **({"drain_timeout": given["drain_timeout"]} if "drain_timeout" in given else {}),
    }


async def _run(config: Config, command: tuple[str, ...]) -> int:
    provided = Provided(config)
    loop = asyncio.get_running_loop()
    for number in (*ENDING, *PASSED_ON):
        loop.add_signal_handler(number, provided.signalled, number)
    return await provided.run(command)


class Provided:
    """The registrations of a process, and the command that is the instance."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._registrations = Registrations(config.registered, Journal())
        self._tasks = Tasks(self._fault)
        self._child: Child | None = None
        self._last = signal.SIGTERM  # the signal that asked us to end
        self._end = asyncio.Event()
        self._hurry = asyncio.Event()
        self._status: int | None = None  # the child's, once it has ended
        self._told = False  # that it is to end, to the child
        self._died = False

    async def run(self, command: tuple[str, ...]) -> int:
        """Run until a signal comes, or the command ends; return the exit status."""
        waiting = None
        if command:
            try:
                self._child = Child(command)
            except CommandError as error:
                end_with(f"pointsman: {error}", error.status)
            waiting = asyncio.create_task(self._wait_for(self._child))
        try:
            self._registrations.start(self._tasks)
            await self._end.wait()
            await self._registrations.leave(self._hurry)
            if self._child is not None and waiting is not None:
                await self._end_child(self._child, waiting)
        finally:
            await self._tasks.stop()
            if self._child is not None and waiting is not None and not waiting.done():
                self._child.kill()
                await waiting
        if self._status is not None:
            return self._status
        return FAILED if self._died else 0

    async def _wait_for(self, child: Child) -> None:
        self._status = await child.ended()
        # Whoever is still sent there is refused: nothing is gained by a delay.
        self._hurry.set()
        self._end.set()

    async def _end_child(self, child: Child, waiting: asyncio.Task[None]) -> None:
        """Pass the signal on and wait; or, if it has ended already, take its instance out."""
        if self._status is not None:
            await self._registrations.withdraw()
            return
        self._told = True
        child.signal(self._last)
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting), self._config.drain_timeout)
        if self._status is None:
            _log.warning("drain_timeout passed: the command is killed")
            child.kill()
            await waiting

    def signalled(self, number: signal.Signals) -> None:
        """Take a signal: begin to end, or pass it on."""
        if number in ENDING or (number == signal.SIGHUP and self._child is None):
            if self._end.is_set():
                self._hurry.set()  # a second one: no more delay
            self._last = number
            self._end.set()
            if not self._told:
                return
        if self._child is not None and self._status is None:
            self._child.signal(number)

    def _fault(self, name: str, error: BaseException) -> None:
        """A registration has died, which it never should. The command goes on; without one there is nothing left."""
        self._died = True
        if self._child is None:
            self._end.set()
