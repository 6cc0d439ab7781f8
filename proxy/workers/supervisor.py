"""The process that starts the control process and the workers, and starts anew whichever of them dies.

It has no event loop and no threads, so that it can fork at any time: a new worker is there within milliseconds, and
shares what was loaded with all others. It does so little that there is nothing for it to die of.
"""

from __future__ import annotations

import gc
import logging
import os
import select
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from proxy.systemd import Notifier
from proxy.workers.channel import ChannelError, DeafError, Inbox, pair, send_now
from proxy.workers.messages import Asked, Begin, Ended, Ending, Keep, Kill, Notify, Spot, Started

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_FIRST_PAUSE = 0.1  # seconds before somebody is replaced who has just replaced another; twice as many each time
_LONGEST_PAUSE = 5.0
_LIVES = 10.0  # seconds after which somebody has proved to live
_LAST = 5.0  # seconds that workers have to end once the control process has


@dataclass(slots=True)
class _Child:
    """A process that is to be there: the control process, which has number 0, or a worker."""

    number: int
    pid: int = 0  # 0: it is not there
    ours: socket.socket | None = None  # the end of the channel that is not its own
    since: float = 0.0
    due: float = 0.0  # when it is to be started
    pause: float = 0.0  # before it is started next

    @property
    def name(self) -> str:
        return f"worker {self.number}" if self.number else "the control process"

    @property
    def title(self) -> str:
        """What ps and top show, which is at most 15 characters long."""
        return f"pointsman-w{self.number}" if self.number else "pointsman-ctrl"

    def next_pause(self, now: float) -> float:
        """Return the seconds until another one is started in its place: none for one that has lived for a while."""
        pause = 0.0 if now - self.since >= _LIVES else self.pause
        self.pause = min(max(pause * 2, _FIRST_PAUSE), _LONGEST_PAUSE)
        return pause

    def hang_up(self) -> None:
        if self.ours is not None:
            self.ours.close()
            self.ours = None


@dataclass(slots=True)
class Kept:
    """What is kept for the next control process, which has it by being forked.

    `restarts` says how often one has died, and `why` of what the last one did.
    """

    restarts: int = 0
    why: str = ""
    spots: tuple[Spot, ...] = ()
    state: Any = None
    sockets: list[socket.socket] = field(default_factory=list)


class Supervisor:
    """Runs `control` in one process, and `worker` in as many as are wanted once that says so.

    Both are given their end of a channel and return an exit status; a worker is given its number, from 1, too, and a
    control process what one before it left that has died. Ends with the status of the control process, or with 1 when
    that died of a signal. Workers may take `patience` seconds to end by themselves where no control process is left to
    tell them to.
    """

    def __init__(
        self,
        count: int,
        control: Callable[[socket.socket, Kept | None], int],
        worker: Callable[[int, socket.socket], int],
        patience: float = 35.0,
    ) -> None:
        self._run_control = control
        self._run_worker = worker
        self._patience = patience
        self._control = _Child(0)
        self._workers = [_Child(number) for number in range(1, count + 1)]
        self._begun = False  # workers are wanted
        self._ending = False  # nobody is started any more
        self._ends: list[str] = []  # the signals that asked us to end
        self._asked_to_end = 0.0  # since when
        self._reload_unheard = False  # nobody was there who could be told
        self._kept = Kept()
        self._inbox: Inbox | None = None  # what the control process says
        self._status = 0
        self._in_order = True  # the control process has ended by itself
        self._notifier = Notifier()
        self._wakeup: tuple[socket.socket, socket.socket] | None = None

    def run(self) -> int:
        """Run until all have ended; return the exit status."""
        gc.collect()
        gc.freeze()  # what is shared with those forked is not written to by collections
        self._wakeup = socket.socketpair()
        for end in self._wakeup:
            end.setblocking(False)
        signal.set_wakeup_fd(self._wakeup[1].fileno(), warn_on_full_buffer=False)
        for number in (*_SIGNALS, signal.SIGCHLD):
            signal.signal(number, _noticed)
        try:
            while self._control.pid or not self._ending:
                self._start_due()
                self._wait()
                self._reap()
                self._read()
            self._end_workers()
        finally:
            signal.set_wakeup_fd(-1)
            for number in (*_SIGNALS, signal.SIGCHLD):
                signal.signal(number, signal.SIG_IGN if number == signal.SIGHUP else signal.SIG_DFL)
            for sock in (*self._wakeup, *self._kept.sockets):
                sock.close()
        return self._status

    def _wait(self, until: float = 0.0) -> None:
        """Wait for a signal, a word of the control process, until somebody is due, or until a time if that is given."""
        assert self._wakeup is not None
        moments = [until] if until else []
        if not self._ending:
            children = (self._control, *self._workers) if self._begun else (self._control,)
            moments += [child.due for child in children if not child.pid]
        poll = select.poll()
        poll.register(self._wakeup[0], select.POLLIN)
        if self._inbox is not None and self._control.ours is not None:
            poll.register(self._control.ours, select.POLLIN)
        # A tenth of a millisecond too late rather than too early, which would be for nothing.
        poll.poll(max((min(moments) - time.monotonic()) * 1000 + 0.1, 0.0) if moments else None)
        try:
            signals = self._wakeup[0].recv(4096)
        except BlockingIOError:
            return
        for number in signals:
            if number in _SIGNALS:
                self._asked(signal.Signals(number))

    def _asked(self, number: signal.Signals) -> None:
        told = self._tell(Asked(number.name))
        if number == signal.SIGHUP:
            self._reload_unheard = self._reload_unheard or not told
            return
        self._asked_to_end = self._asked_to_end or time.monotonic()
        self._ends.append(number.name)
        if not self._control.pid:
            self._control.due = 0.0  # one is started, at once, so that all end in order

    def _tell(self, message: object, *sockets: socket.socket) -> bool:
        """Tell the control process; return whether that can have heard it."""
        if not self._control.pid or self._control.ours is None:
            return False
        try:
            send_now(self._control.ours, message, sockets)
        except DeafError as error:
            _log.error("the control process (process %d) is ended: %s", self._control.pid, error)
            os.kill(self._control.pid, signal.SIGKILL)  # another one may do better
            return False
        except ChannelError:  # it has hung up, and is about to end
            return False
        return True

    def _read(self) -> bool:
        """Do what the control process says; return whether it has said anything."""
        if self._inbox is None:
            return False
        try:
            found = self._inbox.receive()
        except ChannelError:
            self._inbox = None  # its end will be noticed
            return False
        for message, sockets in found:
            self._obey(message, sockets)
        return bool(found)

    def _obey(self, message: object, sockets: list[socket.socket]) -> None:
        match message:
            case Begin():
                self._begun = True
            case Keep(spots, state):
                before = self._kept.sockets
                self._kept.spots, self._kept.state, self._kept.sockets = spots, state, sockets
                for sock in before:
                    sock.close()
            case Ending():
                self._ending = True
            case Kill(number, pid, why):
                for worker in self._workers:
                    if (worker.number, worker.pid) == (number, pid):
                        _log.error("%s (process %d) is ended: %s", worker.name, pid, why)
                        os.kill(pid, signal.SIGKILL)
            case Notify(text):
                self._notifier.send(text)

    def _reap(self) -> None:
        ended: list[tuple[_Child, int, int]] = []
        for child in (self._control, *self._workers):
            if child.pid:
                pid, status = os.waitpid(child.pid, os.WNOHANG)
                if pid:
                    child.pid = 0  # from here on it may be somebody else's
                    ended.append((child, pid, os.waitstatus_to_exitcode(status)))
        if ended:
            # Whether they were to end was said before they did, and the last words of the control process count.
            while self._read():
                pass
        for child, pid, status in ended:
            child.hang_up()
            why = f"was ended by {_signal(-status)}" if status < 0 else f"ended with status {status}"
            if child is self._control:
                self._control_ended(pid, status, why)
            else:
                self._worker_ended(child, pid, status, why)

    def _control_ended(self, pid: int, status: int, why: str) -> None:
        child = self._control
        self._inbox = None
        # One that was to end has done so, if not by a signal; and where two die of being told to, a third would too.
        ended_as_asked = bool(self._ends) and (status >= 0 or child.since > self._asked_to_end)
        if self._ending or ended_as_asked or not self._begun:
            self._ending = True
            self._in_order = status >= 0
            self._status = status if status >= 0 else 1
            if status < 0:
                _log.error("%s (process %d) %s", child.name, pid, why)
            return
        self._kept.restarts += 1
        self._kept.why = why
        pause = 0.0 if self._ends else child.next_pause(time.monotonic())
        self._replace(child, pid, why, pause)

    def _worker_ended(self, child: _Child, pid: int, status: int, why: str) -> None:
        if not self._ending:
            pause = child.next_pause(time.monotonic())
            self._replace(child, pid, why, pause)
            self._tell(Ended(child.number, pid, why, pause))
            return
        if status:
            _log.warning("%s (process %d) %s", child.name, pid, why)
        self._tell(Ended(child.number, pid, why, None))

    def _replace(self, child: _Child, pid: int, why: str, pause: float) -> None:
        child.due = time.monotonic() + pause
        when = f"in {pause:g} s" if pause else "now"
        _log.error("%s (process %d) %s; another one is started %s", child.name, pid, why, when)

    def _start_due(self) -> None:
        """Start whoever is to be there and is not."""
        for child in (self._control, *self._workers):
            if child.pid or self._ending or (child.number and not self._begun) or time.monotonic() < child.due:
                continue
            try:
                self._start(child)
            except OSError as error:
                pause = child.next_pause(time.monotonic())
                child.due = time.monotonic() + max(pause, _FIRST_PAUSE)
                _log.error("%s cannot be started: %s", child.name, error.strerror)

    def _start(self, child: _Child) -> None:
        """Fork a child, and tell the control process. Raises OSError when there is no room for another process."""
        ours, theirs = pair()
        _flush()
        # A signal that reached the child before it is one of its own would be noticed here, as if it had come twice.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            pid = os.fork()
            if not pid:
                ours.close()
                self._be(child, theirs)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        child.pid, child.ours, child.since = pid, ours, time.monotonic()
        if child is self._control:
            self._inbox = Inbox(ours)
            self._tell_all()
        else:
            self._tell(Started(child.number, pid), ours)

    def _tell_all(self) -> None:
        """Tell a new control process of what was before it."""
        for worker in self._workers:
            if worker.pid and worker.ours is not None:
                self._tell(Started(worker.number, worker.pid), worker.ours)
        if self._reload_unheard:
            self._reload_unheard = not self._tell(Asked(signal.SIGHUP.name))
        for name in self._ends:
            self._tell(Asked(name))

    def _be(self, child: _Child, end: socket.socket) -> NoReturn:
        """Be the child from now on: nothing of the supervisor's is left open, and no signal is ours to answer.

        Ctrl-C reaches all processes of a terminal, and systemd ends all of a unit: the order in which they are to end
        is the control process's to say.
        """
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for number in _SIGNALS:
                signal.signal(number, _noticed)  # not SIG_IGN, which a program that we run would inherit
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            for sock in (*(self._wakeup or ()), *(self._kept.sockets if child.number else ())):
                sock.close()
            for other in (self._control, *self._workers):
                other.hang_up()
            _call_it(child.title)
            if child.number:
                status = self._run_worker(child.number, end)
            else:
                status = self._run_control(end, self._kept if self._kept.restarts else None)
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
        except BaseException:
            _log.exception("%s met a fault in pointsman", child.name)
        finally:
            logging.shutdown()
            _flush()
            os._exit(status & 0xFF)

    def _end_workers(self) -> None:
        """Wait for the workers, who end when nobody tells them anything any more, and end those that do not.

        They are not waited for any longer when we are asked to end once more.
        """
        for worker in self._workers:
            worker.hang_up()
        asked = len(self._ends) if self._in_order else 1
        deadline = time.monotonic() + (_LAST if self._in_order else self._patience)
        while any(worker.pid for worker in self._workers):
            self._wait(deadline)
            self._reap()
            if time.monotonic() >= deadline or len(self._ends) > asked:
                break
        for worker in self._workers:
            if worker.pid:
                _log.warning("%s (process %d) did not end, and is killed", worker.name, worker.pid)
                os.kill(worker.pid, signal.SIGKILL)
                os.waitpid(worker.pid, 0)


def _flush() -> None:
    """Write out what is buffered: a forked process would write it too."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):  # it may be None or closed, and nobody may read it any more
            pass


def _call_it(title: str) -> None:
    try:
        Path("/proc/self/comm").write_text(title)
    except OSError:  # there is no such file everywhere
        pass


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _noticed(number: int, frame: object) -> None:
    """Do nothing: the wakeup socket tells of it, where there is one."""
