"""A simulated instance: it works, queues, slows down, stalls, fails and dies."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from proxy.simulate.durations import duration_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from discovery.instance import Instance
    from proxy.simulate.clockwork import Clockwork
    from proxy.simulate.recording import Tally
    from proxy.simulate.world import Event, Failures, Group

_ROUNDING = 1e-9  # seconds


class Job(Protocol):
    """What an instance is asked to do. `ended` once nobody waits for it any more; `drawn` says how long it takes."""

    probe: bool
    drawn: float
    status: int  # of the answer
    due: float  # by the instance's own clock, which stands still while it is stalled
    ended: bool

    def answered(self, status: int) -> None:
        """Take in the answer."""
        ...

    def refused(self) -> None:
        """Take in that the connection was refused."""
        ...

    def broke(self) -> None:
        """Take in that the connection broke."""
        ...


class Replica:
    """One process of an endpoint: after a restart there is another one, with a tally in common."""

    def __init__(
        self, clock: Clockwork, instance: Instance, group: Group, tally: Tally, draw: Callable[[], float]
    ) -> None:
        self.instance = instance
        self.tally = tally
        self.distance = group.distance
        self._clock = clock
        self._group = group
        self._draw = draw
        self._most = group.concurrency or float("inf")
        self._room = float("inf") if group.queue is None else group.queue
        self._waiting: deque[Job] = deque()
        self._working: dict[Job, None] = {}  # in the order in which they were begun
        self._seconds = duration_of(group.service_time)
        self._slower = self._cold = 1.0
        self._failures = group.failures
        self._fails = _fails(group.failures)
        self._gone = self._down = False
        self._stalled_since: float | None = None
        self._stood = 0.0  # how long it has been stalled, all told

    def receive(self, job: Job) -> None:
        """Take a job, or refuse it."""
        if self._gone or self._down:
            job.refused()
            return
        if self._fails and self._spoilt(job):
            return
        if len(self._working) < self._most:
            self.tally.moved(1, self._clock.now)
            self._start(job)
        elif len(self._waiting) < self._room:
            self.tally.moved(1, self._clock.now)
            self._waiting.append(job)
        else:
            job.answered(503)

    def befall(self, events: Sequence[Event]) -> None:
        """Let it be as these events have it, of which the last one wins."""
        self._slower, times, failures = 1.0, self._group.service_time, self._group.failures
        for event in events:
            self._slower *= event.slower or 1.0
            times = event.service_time or times
            failures = event.failures or failures
        self._seconds = duration_of(times)
        self._failures = failures
        self._fails = _fails(failures)
        self._stall(any(event.stalled for event in events))
        was_down, self._down = self._down, any(event.down for event in events)
        if self._down and not was_down:
            self._drop()

    def leave(self) -> None:
        """End, with all that is under way."""
        self._gone = True
        self._drop()

    def cool(self, slower: float) -> None:
        """Take so many times as long; 1 for as long as usual."""
        self._cold = slower

    def takes_connections(self) -> bool:
        """Tell whether a connection is accepted: so it is while it is stalled."""
        if self._gone or self._down:
            return False
        unfit = self._failures.refused + self._failures.hangs
        return not unfit or self._draw() >= unfit

    def _spoilt(self, job: Job) -> bool:
        """Let a job fail as often as is wanted; true when nothing more is to be done about it."""
        failures, drawn = self._failures, self._draw()
        if drawn < failures.refused:
            job.refused()
            return True
        drawn -= failures.refused
        if drawn < failures.hangs:
            return True
        drawn -= failures.hangs
        if job.probe and not failures.probes:
            return False
        if drawn < failures.resets:
            job.broke()
            return True
        if drawn - failures.resets < failures.errors:
            job.status = 500
        return False

    def _start(self, job: Job) -> None:
        self._working[job] = None
        seconds = 0.0 if job.probe else self._seconds(job.drawn) * self._slower * self._cold
        since = self._stalled_since
        if since is not None:
            job.due = since - self._stood + seconds
            return  # it is set going when the stall is over
        job.due = self._clock.now - self._stood + seconds
        self._clock.at(self._clock.now + seconds, self._finish, job)

    def _finish(self, job: Job) -> None:
        working = self._working
        if job not in working or self._stalled_since is not None or job.due + self._stood > self._clock.now + _ROUNDING:
            return  # it died with it, or it was stalled meanwhile: then it is done later
        del working[job]
        self.tally.moved(-1, self._clock.now)
        waiting = self._waiting
        while waiting and len(working) < self._most:  # before the answer: what that brings comes behind those who wait
            following = waiting.popleft()
            if following.ended:
                self.tally.moved(-1, self._clock.now)
            else:
                self._start(following)
        if not job.ended:
            job.answered(job.status)

    def _stall(self, stalled: bool) -> None:
        now, since = self._clock.now, self._stalled_since
        if stalled and since is None:
            self._stalled_since = now
        elif not stalled and since is not None:
            self._stalled_since = None
            self._stood += now - since
            for job in self._working:
                self._clock.at(max(now, job.due + self._stood), self._finish, job)

    def _drop(self) -> None:
        lost = [*self._working, *self._waiting]
        self._working.clear()
        self._waiting.clear()
        self.tally.moved(-len(lost), self._clock.now)
        for job in lost:
            if not job.ended:
                job.broke()


def _fails(failures: Failures) -> bool:
    return bool(failures.errors or failures.refused or failures.resets or failures.hangs)
