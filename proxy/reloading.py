"""Takes a new configuration into force while requests are under way: all of it or nothing.

What can fail is done first, beside what is at work: parts are made, logs opened, addresses bound. Then everything is
put in its place at once, without a wait in between, so that a request meets the old state or the new one. At last what
is not needed any more is let go: it ends with its last request.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from config.units import format_duration
from discovery.registry import RegistryError
from proxy import logs, reading
from proxy.assemble.catalogs import renew_catalogs
from proxy.assemble.listeners import AccessLogError, access_log, make_listener
from proxy.assemble.routes import make_splits, own_routes
from proxy.assemble.services import instance_tls
from proxy.config_file import UnreadableError
from proxy.edge.users_file import UsersFileError
from proxy.http.heads import ResponseReader
from proxy.reload import FEED, plan_of
from proxy.settings import StickyKeyError, head_limits_of
from proxy.sockets import BindError
from proxy.tls.acme.renewals import AcmeError
from proxy.tls.pair import CertificateError

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from config.model import Config
    from proxy.access_log.access_log import AccessLog
    from proxy.config_file import ConfigFile, Loaded, Look
    from proxy.listener import Listener
    from proxy.reload import Plan
    from proxy.service import Service
    from proxy.serving import Serving
    from proxy.sources import Feed
    from proxy.splits import Split
    from proxy.tcp.listener import TcpListener
    from proxy.tls.acme.renewals import Renewals

_log = logging.getLogger(__name__)

PATIENCE = 30.0  # seconds that reading the file, or looking up the names to listen on, may take
LOOK = 1.0  # seconds from one look at the file to the next
FIRST_WORD = 5.0  # seconds that the registries of new services have to tell who is there
_LOOK_AGAIN = 0.01  # seconds from one look at whether they have to the next
SETTLED = 0.1  # seconds for which a file must stay as it is before it is read: it may be half written
_LOOKS = 100  # at a file that changes all the time, until it is read all the same
_AT_A_TIME = 10  # services that are made, or begun with, before requests have their turn
_NAMED = 10  # changes that one line of the log tells of
_TOLD = 1000  # changes, or mistakes, that one answer tells of

APPLIED, UNCHANGED, REFUSED = "applied", "unchanged", "refused"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one reload; `time` is seconds since 1970, `status` that of an answer which tells it by HTTP."""

    result: str
    why: str
    time: float
    changed: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    status: int = 200


class RefusedError(Exception):
    """A configuration is not taken into force; everything is as it was."""

    def __init__(self, status: int, *errors: str) -> None:
        super().__init__("; ".join(errors))
        self.status = status
        self.errors = errors


@dataclass(slots=True)
class _Prepared:
    """What was made, and is not at work yet."""

    log: AccessLog | None = None
    renewals: Renewals | None = None
    made: dict[str, Service] = field(default_factory=dict)  # those new, and what those changed adopt
    feeds: dict[str, Feed] = field(default_factory=dict)
    splits: dict[str, Split] = field(default_factory=dict)
    listeners: dict[int, Listener | TcpListener] = field(
        default_factory=dict
    )  # by place: those new, and what the others adopt
    sockets: dict[int, Sequence[socket.socket]] = field(default_factory=dict)


class Reloader:
    """Reloads an application's configuration, one time after the other.

    Who asks while one is under way shares the next one with all others who do: it reads what is in the file by then.
    `loaded` is what is in force, `since` when that was taken into force, in seconds since 1970, `last` the outcome of
    the last reload, and `counts` how many there were of each.
    """

    def __init__(self, application: Serving, file: ConfigFile | None, loaded: Loaded | None) -> None:
        self.file = file
        self.loaded = loaded
        self.since = time.time()
        self.last: Outcome | None = None
        self.counts = {APPLIED: 0, UNCHANGED: 0, REFUSED: 0}
        self._application = application
        self._tried = loaded.digest if loaded else ""  # what was read last, be it refused
        self._lock = asyncio.Lock()
        self._begun = asyncio.Event()
        self._next: asyncio.Task[Outcome] | None = None

    def begin(self) -> None:
        """Allow reloads: the application has started."""
        self._begun.set()

    @property
    def has_begun(self) -> bool:
        """True once the application has started."""
        return self._begun.is_set()

    async def reload(self, why: str) -> Outcome:
        """Take into force what the file holds now, and tell what became of it."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._in_turn(why), name="a reload")
        return await asyncio.shield(self._next)

    def ask(self, why: str) -> None:
        """Have it reloaded; the outcome is in the log."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._in_turn(why), name="a reload")

    async def watch(self) -> None:
        """Reload when the file changes, or one that it refers to, until cancelled."""
        file = self.file
        if file is None:
            return
        settled: Look = ()  # it may have changed since it was read at the start
        while True:
            await asyncio.sleep(LOOK)
            offer = self._application.offer
            if not self._application.config.reload.watch or (offer is not None and offer.busy is not None):
                continue
            look = await self._look(file)
            if look == settled:
                continue
            for _ in range(_LOOKS):
                await asyncio.sleep(SETTLED)
                before, look = look, await self._look(file)
                if look == before:
                    break
            settled = look
            # Touched and not changed, tried already, or on its way from one name to another.
            if look[0] is not None and await self._digest(file) != self._tried:
                await self.reload("its file has changed")

    async def pause(self) -> None:
        """Wait until a reload under way is over; while somebody takes over there will be no other."""
        async with self._lock:
            pass

    async def stop(self) -> None:
        """Wait until a reload under way is over, unless it takes too long."""
        if self._next is not None:
            self._next.cancel()
        async with self._lock:
            pass
        await asyncio.to_thread(reading.dismiss)

    async def _look(self, file: ConfigFile) -> Look:
        besides = [path for path, _ in self.loaded.files.values()] if self.loaded else []
        return await asyncio.to_thread(file.look, besides)

    async def _digest(self, file: ConfigFile) -> str:
        return await asyncio.to_thread(file.digest, self.loaded.files if self.loaded else {})

    async def _in_turn(self, why: str) -> Outcome:
        await self._begun.wait()
        async with self._lock:
            self._next = None  # who asks from now on may have written something that is not read now
            notifier = self._application.notifier
            notifier.reloading()
            collects = gc.isenabled()
            gc.disable()  # so much is made that full collections would hold up requests again and again
            try:
                outcome = await self._try(why)
            finally:
                if collects:
                    gc.enable()
                notifier.ready()
            self.last = outcome
            self.counts[outcome.result] += 1
            self._tell(outcome)
            return outcome

    async def _try(self, why: str) -> Outcome:
        now = time.time()
        try:
            changed = await self._reload()
        except RefusedError as error:
            return Outcome(REFUSED, why, now, errors=error.errors[:_TOLD], status=error.status)
        except Exception as error:
            _log.exception("a reload met a fault in pointsman")
            text = f"a fault in pointsman: {type(error).__name__}: {error}"
            return Outcome(REFUSED, why, now, errors=(text,), status=500)
        return Outcome(APPLIED if changed else UNCHANGED, why, now, changed=changed[:_TOLD])

    async def _reload(self) -> tuple[str, ...]:
        """Take what the file holds into force; return what has changed. Raises RefusedError."""
        application = self._application
        if application.offer is not None and application.offer.busy is not None:
            raise RefusedError(409, "another process is taking over: ask again if it does not")
        if self.file is None:
            raise RefusedError(409, "there is no file: it was started with a configuration of its command line")
        return await self.take(await self._read(self.file))

    async def take(self, loaded: Loaded) -> tuple[str, ...]:
        """Take what was read into force; return what has changed. Raises RefusedError."""
        application = self._application
        before = self.loaded.files if self.loaded else {}
        plan = await asyncio.to_thread(plan_of, application.config, loaded.config, before, loaded.files)
        if plan.blocked:
            names = " and ".join(plan.blocked)
            raise RefusedError(
                409, f"{names} cannot change while it runs: that takes a restart, or a takeover by a new process"
            )
        if not plan.is_empty:
            with contextlib.ExitStack() as undo:
                prepared = await self._prepare(plan, loaded.config, undo)
                if application.ending or application.draining:
                    raise RefusedError(409, "it is ending")
                self._commit(plan, loaded.config, prepared)
                undo.pop_all()
            self.since = time.time()
        self.loaded = loaded
        if not plan.is_empty:
            await application.reloaded(loaded, plan)
        return plan.keys

    async def _read(self, file: ConfigFile) -> Loaded:
        try:
            async with asyncio.timeout(PATIENCE):
                loaded = await asyncio.to_thread(file.load, stay=True)
        except TimeoutError:
            raise RefusedError(500, f"{file.path} could not be read within {format_duration(PATIENCE)}") from None
        except UnreadableError as error:
            self._tried = error.digest
            raise RefusedError(400, *str(error).splitlines()) from None
        self._tried = loaded.digest
        return loaded

    # What can fail.

    async def _prepare(self, plan: Plan, config: Config, undo: contextlib.ExitStack) -> _Prepared:
        """Make all that is new, beside what is at work. Raises RefusedError; then `undo` ends what was made."""
        application, prepared = self._application, _Prepared(self._application.access_log)
        try:
            if plan.access_log:
                prepared.log = access_log(config)
                if prepared.log is not None:
                    undo.callback(prepared.log.writer.close, 0.0)
            if plan.acme:
                prepared.renewals = await asyncio.to_thread(application.make_renewals, config)
            await self._make_services(plan, config, prepared)
            await self._know(plan, prepared, undo)
            services = {**application.services, **{name: prepared.made[name] for name in plan.made}}
            prepared.splits = make_splits(config, services)
            undo.callback(application.guards.prune, application.config)
            routes = own_routes(config, services, prepared.splits, application.guards)
            for place in (*plan.renewed, *plan.bound):
                prepared.listeners[place] = make_listener(
                    config, place, routes, services, prepared.log, application.guards
                )
            beside = [sock for place in plan.unbound for sock in application.listeners[place].sockets]
            for place in plan.bound:
                async with asyncio.timeout(PATIENCE):
                    listener = prepared.listeners[place]
                    bound = await application.bind(place, listener, beside)
                undo.callback(_close, bound)
                prepared.sockets[place] = bound
        except (
            BindError, AccessLogError, AcmeError, CertificateError, StickyKeyError, UsersFileError, RegistryError,
            OSError, ValueError,
        ) as error:  # fmt: skip
            raise RefusedError(500, str(error) or type(error).__name__) from error
        return prepared

    async def _know(self, plan: Plan, prepared: _Prepared, undo: contextlib.ExitStack) -> None:
        """Let new services learn who is there before requests are routed to them, if their registries tell it soon."""
        application = self._application
        for number, name in enumerate(plan.made):
            if number % _AT_A_TIME == _AT_A_TIME - 1:
                await asyncio.sleep(0)
            service = prepared.made[name]
            service.feed_by(prepared.feeds.pop(name))
            application.follow(service)
            undo.callback(application.unfollow, name)
            if service.prober is not None:
                undo.callback(application.end_prober, service.prober, name)
        deadline = time.monotonic() + FIRST_WORD
        while time.monotonic() < deadline and not application.ending:
            sources = [source for name in plan.made for source in prepared.made[name].sources]
            if all(source.keeper.has_snapshot or source.keeper.error for source in sources):
                return
            await asyncio.sleep(_LOOK_AGAIN)

    async def _make_services(self, plan: Plan, config: Config, prepared: _Prepared) -> None:
        """Make the services a few at a time, so that requests need not wait for all of them."""
        application = self._application
        reader = ResponseReader(head_limits_of(config.limits))
        parts = dict(plan.changed)
        for number, name in enumerate((*plan.made, *parts)):
            if number % _AT_A_TIME == _AT_A_TIME - 1:
                await asyncio.sleep(0)
            wanted = config.services[name]
            service = prepared.made[name] = application.make_service(
                name, wanted, config, reader, instance_tls(wanted, f"services.{name}.tls")
            )
            if name not in parts:
                prepared.feeds[name] = application.make_feed(service, wanted)
            elif FEED in parts[name]:
                prepared.feeds[name] = application.make_feed(application.services[name], wanted)

    # What must not fail, and waits for nothing.

    def _commit(self, plan: Plan, config: Config, prepared: _Prepared) -> None:
        application = self._application
        before, application.config = application.config, config
        if plan.log:
            logs.set_up(config.log.level, config.log.format)
        self._change_services(plan, config, prepared)
        gone = self._change_listeners(plan, config, prepared)
        self._change_splits(before, prepared)
        renew_catalogs(
            application.catalogs, config, application.listeners, application.splits, application.guards,
            application.make_service,
        )  # fmt: skip
        application.guards.prune(config)
        application.follow_users()
        if plan.acme:
            application.change_renewals(prepared.renewals)
        if plan.access_log:
            application.change_access_log(prepared.log)
        for listener in gone:
            application.let_go(listener)

    def _change_services(self, plan: Plan, config: Config, prepared: _Prepared) -> None:
        application = self._application
        services = application.services
        for name, parts in plan.changed:
            ended = services[name].adopt(prepared.made[name], parts)
            if ended is not None:
                application.end_prober(ended, name)
        for name in plan.made:
            services[name] = prepared.made[name]
        for name in plan.ended:
            application.unfollow(name)
            application.catalogs.leave(services.pop(name))
        for name, feed in prepared.feeds.items():
            application.unfollow(name)
            services[name].feed_by(feed)
            application.follow(services[name])
        in_order = [*config.services, *(name for name in services if name not in config.services)]
        found = {name: services[name] for name in in_order}
        services.clear()
        services.update(found)

    def _change_splits(self, before: Config, prepared: _Prepared) -> None:
        """Share out by other splits; one whose keys are as they were goes on with the weights set by hand."""
        application = self._application
        splits = application.splits
        for name, split in prepared.splits.items():
            if name in splits:
                split.follow(splits[name], keep=before.splits[name] == application.config.splits[name])
        splits.clear()
        splits.update(prepared.splits)

    def _change_listeners(self, plan: Plan, config: Config, prepared: _Prepared) -> list[Listener | TcpListener]:
        application = self._application
        before = list(application.listeners)
        after = {there: before[here] for here, there in plan.kept}
        for place in plan.renewed:
            after[place].adopt(prepared.listeners[place])  # type: ignore[arg-type]  # both are of one kind
        gone = [before[place] for place in plan.unbound]
        for place in plan.bound:
            listener = after[place] = prepared.listeners[place]
            heirs = [one for one in gone if one.bind == listener.bind and (one.bind.path or one.bind.port)]
            application.open(listener, prepared.sockets[place], lent=any(one.lent for one in heirs))
            for one in heirs:
                one.lent = True  # it speaks otherwise on the same sockets
        application.listeners[:] = [after[place] for place in range(len(config.listeners))]
        for place in (*plan.renewed, *plan.bound):
            application.attend(after[place])
        return gone

    def _tell(self, outcome: Outcome) -> None:
        journal = self._application.journal
        if outcome.result == REFUSED:
            text = _listed(outcome.errors)
            _log.error("the configuration was not reloaded (%s); all stays as it was: %s", outcome.why, text)
            journal.keep("", "reload_refused", "", f"{outcome.why}: {text}")
        elif outcome.result == APPLIED:
            text = _listed(outcome.changed)
            _log.info("the configuration was reloaded (%s): %s", outcome.why, text)
            journal.keep("", "reloaded", "", f"{outcome.why}: {text}")
        else:
            _log.info("the configuration was read again (%s): nothing has changed", outcome.why)


def _listed(texts: tuple[str, ...]) -> str:
    more = len(texts) - _NAMED
    return "; ".join(texts[:_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _close(sockets: Sequence[socket.socket]) -> None:
    for sock in sockets:
        sock.close()
