"""`pointsman discover`: the instances of a service as a registry holds them, once or followed live."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from discovery.keeper import Keeper, without_twins
from discovery.registry import RegistryError
from proxy import logs
from proxy.commands.naming import named, of_file
from proxy.commands.register import keys_of
from proxy.commands.running import FILE, run_to_end, waiting
from proxy.commands.showing import Known, changes, instance_json, instances_table, sentence
from proxy.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from discovery.instance import Snapshot
    from proxy.commands.naming import Named

_CLEAR = "\x1b[H\x1b[2J"  # of a terminal: to its corner, and empty


@click.command()
@click.argument("words", nargs=-1, metavar="[REGISTRY] NAME")
@click.option("-c", "--config", "file", type=FILE, help="A configuration file; NAME is one of its services.")
@click.option(
    "-o", "--option", "options", metavar="KEY=VALUE", multiple=True,
    help="Another key of the registry, as under discovery: in the file: port=8080; repeatable.",
)  # fmt: skip
@click.option("--watch", is_flag=True, help="Go on, and show each change.")
@click.option("--json", "as_json", is_flag=True, help="As JSON; with --watch an object a line.")
@click.option(
    "--timeout", metavar="DURATION", callback=waiting(0.1), default="10s", show_default=True,
    help="How long to wait for an answer.",
)  # fmt: skip
def discover(
    words: tuple[str, ...], file: Path | None, options: tuple[str, ...], watch: bool, as_json: bool, timeout: float
) -> None:
    """Show the instances of a service.

    REGISTRY is its kind, or kind and address: consul, consul:http://10.0.0.1:8500, etcd:http://10.0.0.2:2379, dns,
    dns:10.0.0.2, file:PATH. NAME is the service's name there: web, /services/web/, web.example.internal. What else has
    to be said is said by -o KEY=VALUE.
    """
    if file is not None:
        if len(words) != 1 or options:
            raise click.UsageError("with -c FILE, say NAME, a service of that file, and nothing else")
        sources = of_file(file, words[0])
    elif len(words) == 2 or (len(words) == 1 and words[0].startswith(("file:", "http:"))):
        sources = [named(words[0], words[1] if len(words) == 2 else "", keys_of(options))]
    else:
        raise click.UsageError("say REGISTRY and NAME, as in: pointsman discover consul:http://127.0.0.1:8500 web")
    on_terminal = sys.stdout.isatty() and not as_json
    logs.set_up("error", "text")  # what fails at first is said when it ends us
    name = words[-1]
    if watch:
        run_to_end(_Follower(name, sources, timeout, as_json=as_json, redraw=on_terminal).run())
    run_to_end(_once(name, sources, timeout, as_json))


async def _once(name: str, sources: Sequence[Named], timeout: float, as_json: bool) -> int:
    snapshots = await asyncio.gather(*(_first(source, timeout) for source in sources))
    known = _known(sources, snapshots)
    for snapshot in snapshots:
        for text in snapshot.unreadable:
            click.echo(f"left out: {text}", err=True)
    if as_json:
        click.echo(json.dumps(_described(name, known, snapshots), ensure_ascii=False, indent=2))
    elif known:
        click.echo(instances_table(list(known.values())))
    else:
        click.echo(f"there is no instance of {name}", err=True)
    return 0


async def _first(source: Named, timeout: float) -> Snapshot:
    """Return what a registry says at first. Raises RegistryError."""
    watch: Any = source.registry.watch(source.name)
    try:
        async with asyncio.timeout(timeout), aclosing(watch):
            async for snapshot in watch:
                return without_twins(snapshot)
    except TimeoutError as error:
        raise RegistryError(f"{source.kind}: no answer within {timeout:g} s") from error
    raise RegistryError(f"{source.kind}: the watch ended, which it should never do")


class _Follower:
    """Follows a service, and shows what changes: as a block of text, a line of JSON, or a screen that is drawn anew."""

    def __init__(self, name: str, sources: Sequence[Named], timeout: float, *, as_json: bool, redraw: bool) -> None:
        self._name = name
        self._sources = sources
        self._timeout = timeout
        self._as_json = as_json
        self._redraw = redraw
        self._news = asyncio.Event()
        self._keepers = [self._keeper(source) for source in sources]

    async def run(self) -> int:
        """Follow until cancelled. Raises RegistryError when a registry cannot be read at first."""
        tasks = Tasks()
        for keeper in self._keepers:
            tasks.start(keeper.run(), f"the watch of {keeper.name}")
        try:
            await self._begin()
            if not self._redraw:  # what is drawn anew each time has the errors in it
                logs.set_up("warning", "text")
            before: Known | None = None
            while True:
                self._news.clear()
                before = self._show(before)
                await self._news.wait()
        finally:
            await tasks.stop()

    async def _begin(self) -> None:
        """Wait for the first answers. What is away at the beginning is more likely misspelt than gone for a moment."""
        try:
            async with asyncio.timeout(self._timeout):
                while not all(keeper.has_snapshot for keeper in self._keepers):
                    await self._news.wait()
                    self._news.clear()
                    for keeper in self._keepers:
                        if keeper.error and not keeper.has_snapshot:
                            raise RegistryError(keeper.error)
        except TimeoutError as error:
            raise RegistryError(f"no answer within {self._timeout:g} s") from error

    def _keeper(self, source: Named) -> Keeper:
        return Keeper(
            self._name,
            source.registry,
            source.name,
            lambda snapshot: self._news.set(),
            hold=0.0,  # what the registry says is what is to be seen
            journal=self._told,
        )

    def _told(self, kind: str, text: str) -> None:
        asyncio.get_running_loop().call_soon(self._news.set)  # the keeper sets `error` when it has told

    def _show(self, before: Known | None) -> Known:
        snapshots = [keeper.current for keeper in self._keepers if keeper.current is not None]
        known = _known(self._sources, snapshots)
        what = changes(before or {}, known)
        moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        is_news = before is None or any(what.values())
        if self._as_json:
            if is_news:
                line = {"time": moment, **_described(self._name, known, snapshots), **what}
                click.echo(json.dumps(line, ensure_ascii=False))
        elif self._redraw or is_news:
            words = sentence(what) or "nothing yet"
            head = f"{moment} {self._name}: {_count(len(known))}; {words}"
            errors = [
                f"cannot be read, this is the last good answer: {one.error}" for one in self._keepers if one.error
            ]
            shown = [instances_table(list(known.values()))] if known else []
            text = "\n".join([*([head] if is_news or self._redraw else []), *errors, *shown])
            click.echo(f"{_CLEAR}{text}" if self._redraw else f"{text}\n")
        return known


def _known(sources: Sequence[Named], snapshots: Sequence[Snapshot]) -> Known:
    return {
        (place, one.id): (source.kind, one)
        for place, (source, snapshot) in enumerate(zip(sources, snapshots, strict=True))
        for one in sorted(snapshot.instances, key=lambda one: one.id)
    }


def _described(name: str, known: Known, snapshots: Sequence[Snapshot]) -> dict[str, Any]:
    return {
        "service": name,
        "index": ",".join(snapshot.index for snapshot in snapshots),
        "instances": [instance_json(kind, one) for kind, one in known.values()],
        "unreadable": [text for snapshot in snapshots for text in snapshot.unreadable],
    }


def _count(number: int) -> str:
    return "1 instance" if number == 1 else f"{number} instances"
