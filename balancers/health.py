"""Is this endpoint fit for traffic, since when, and why not? The one state machine that decides it."""

from __future__ import annotations

from dataclasses import dataclass

from balancers.known import Known

_NEVER = float("inf")
# An answer of 5xx comes from an instance that works well enough to give one; all else that a request may fail of means
# that it, or the way to it, does not.
SERVER_ERROR = "5xx"
GATEWAY_ERROR = "gateway"  # an answer of 502, 503 or 504: it works, and what it needs does not
ANSWERS = (SERVER_ERROR, GATEWAY_ERROR)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How much evidence moves an endpoint.

    `fall` failed probes in a row eject it, `rise` passed ones in a row readmit it; both at least 1.
    With `must_pass_first` a new endpoint takes no traffic until its first probe passed; that one is enough.

    Of requests, `consecutive_5xx` answers of 5xx in a row, `consecutive_gateway` answers of 502, 503 or 504 in a row,
    or `consecutive_local_failures` in a row that were not answered, eject it for `base_ejection_time` seconds or more,
    at most for `max_ejection_time`, see `Health.eject`; 0 does not count them. For each `interval` that it was healthy
    one of its ejections is forgotten.
    """

    rise: int = 2
    fall: int = 3
    must_pass_first: bool = False
    consecutive_5xx: int = 5
    consecutive_local_failures: int = 5
    consecutive_gateway: int = 0
    base_ejection_time: float = 30.0
    max_ejection_time: float = 300.0
    interval: float = 10.0


class Health:
    """The health of one endpoint.

        waiting --passed--> healthy --fall failures in a row--> ejected --rise passes in a row--> healthy
                            healthy --requests failed in a row--> ejected --its time is over, or rise passes--> healthy

    `waiting` is where an endpoint with `must_pass_first` starts; all others start healthy. `since` is when the present
    state began, in the caller's clock; `reason` says in a few words why it is what it is; `cause` what ejected it:
    probe, 5xx, gateway, local, success_rate or failure_percentage; `until` when that ends by itself.
    """

    __slots__ = (
        "_errors",
        "_failed",
        "_gateway",
        "_local",
        "_passed",
        "_row",
        "_thresholds",
        "blame",
        "cause",
        "ejections",
        "last_probe",
        "reason",
        "since",
        "state",
        "until",
    )

    def __init__(self, thresholds: Thresholds, now: float) -> None:
        self._thresholds = thresholds
        self._passed = self._failed = 0  # probes in a row
        self._errors = self._local = self._gateway = 0  # requests in a row: 5xx, not answered at all, 502 to 504
        self.blame = ""  # the cause for which `failed` last said that it should be ejected
        self._row = 0  # ejections for what requests found, less one for each interval that went well since
        self.ejections = 0
        self.last_probe = ""  # what it found, whatever came of that
        self.since = now
        self.cause = ""
        self.until = _NEVER
        if thresholds.must_pass_first:
            self.state, self.reason = "waiting", "its first probe has not passed yet"
        else:
            self.state, self.reason = "healthy", "newly discovered"

    def adopt(self, thresholds: Thresholds) -> None:
        """Judge by other numbers from now on; what was found stays found."""
        self._thresholds = thresholds

    def unprobed(self, now: float) -> bool:
        """Forget what probes found, for there are none any more; true when that changed the state."""
        self.last_probe = ""
        self._passed = self._failed = 0
        if self.state == "healthy" or (self.state == "ejected" and self.cause != "probe"):
            return False
        self._readmit("it is not probed any more", now)
        return True

    @property
    def answers(self) -> bool | None:
        """Whether probes pass at present, by `rise` and `fall`; None before the first one has ended."""
        if not self.last_probe:
            return None
        if self.state == "waiting" or (self.state == "ejected" and self.cause == "probe"):
            return False
        return self._failed < self._thresholds.fall

    @property
    def failing(self) -> bool:
        """Whether the last probe failed; False before there was one."""
        return self._failed > 0

    def probed(self, passed: bool, detail: str, now: float) -> bool:
        """Take in the outcome of one probe; true when it changed the state."""
        self.last_probe = detail
        self._passed, self._failed = (self._passed + 1, 0) if passed else (0, self._failed + 1)
        if self.state == "healthy":
            if self._failed < self._thresholds.fall:
                return False
            self.eject("probe", f"{_times(self._failed, 'probe')} failed, the last one: {detail}", now)
        elif self.state == "ejected":
            if self._passed < self._thresholds.rise:
                return False
            self._readmit(f"{_times(self._passed, 'probe')} passed", now)
        elif passed:
            self._readmit(f"its first probe passed: {detail}", now)
        else:
            self.reason = f"its first probe has not passed yet: {detail}"
            return False
        return True

    def failed(self, kind: str, detail: str) -> str:
        """Take in that a request failed; return why the endpoint should be ejected for that, or "" if it should not."""
        thresholds = self._thresholds
        if kind in ANSWERS:
            self._errors += 1
            self._local = 0  # it was answered
            self._gateway = self._gateway + 1 if kind == GATEWAY_ERROR else 0
            self.blame, streak, limit = SERVER_ERROR, self._errors, thresholds.consecutive_5xx
            if thresholds.consecutive_gateway and self._gateway and not self._gateway % thresholds.consecutive_gateway:
                self.blame, streak, limit = GATEWAY_ERROR, self._gateway, thresholds.consecutive_gateway
        else:
            self._local += 1
            self.blame, streak, limit = "local", self._local, thresholds.consecutive_local_failures
        if self.state != "healthy" or not limit or streak % limit:  # asked again every so often, should it be refused
            return ""
        return f"{_times(streak, 'request')} failed, the last one: {detail}"

    @property
    def is_settled(self) -> bool:
        """Whether one more probe that passes would tell nobody anything, here or where the same probes are told of."""
        return self.state == "healthy" and self._passed > self._thresholds.rise

    def known(self) -> Known:
        """Return what is known by now, for another process to begin with."""
        return Known(
            self.state, self.reason, self.cause, self.since, self.until, self._row, self._passed, self._failed,
            self.last_probe,
        )  # fmt: skip

    def begin_with(self, known: Known) -> None:
        """Take over what another process knows, by the same clock."""
        self.state, self.reason, self.cause = known.state, known.reason, known.cause
        self.since, self.until, self._row = known.since, known.until, known.row
        self._passed, self._failed, self.last_probe = known.passed, known.failed, known.last_probe

    def answered_well(self) -> None:
        """Take in that a request was answered, and not with 5xx."""
        self._errors = self._local = self._gateway = 0

    def eject(self, cause: str, reason: str, now: float, jitter: float = 0.0) -> None:
        """Take it out: until probes pass, or for what requests found, until its time is over too.

        That time, in seconds, is `base_ejection_time` times the number of such ejections in a row, at most the larger
        of `max_ejection_time` and the base, and `jitter` besides. The number falls by one for each full `interval` that
        it was healthy since, as Envoy's multiplier does (config.cluster.v3.OutlierDetection: base_ejection_time,
        max_ejection_time, interval).
        """
        base = self._thresholds.base_ejection_time
        if self.state == "healthy" and self._row:
            self._row = max(self._row - int((now - self.since) / self._thresholds.interval), 0)
        self.ejections += 1
        self.cause = cause
        self.until = _NEVER
        if cause != "probe":
            self._row += 1
            self.until = now + min(base * self._row, max(base, self._thresholds.max_ejection_time)) + jitter
        self._passed = 0
        self._move("ejected", reason, now)

    def expire(self, now: float) -> bool:
        """Let it back if its time is over; true when that changed the state. Failing probes keep it out."""
        if self.state != "ejected" or now < self.until:
            return False
        if self._failed >= self._thresholds.fall:
            self.cause, self.until = "probe", _NEVER
            self.reason = f"{_times(self._failed, 'probe')} failed, the last one: {self.last_probe}"
            return False
        self._readmit(f"{self.until - self.since:g} s have passed since it was ejected", now)
        return True

    def _readmit(self, reason: str, now: float) -> None:
        self.cause = ""
        self.until = _NEVER
        self._passed = self._failed = self._errors = self._local = self._gateway = 0
        self._move("healthy", reason, now)

    def _move(self, state: str, reason: str, now: float) -> None:
        self.state = state
        self.reason = reason
        self.since = now


def _times(count: int, noun: str) -> str:
    return f"1 {noun}" if count == 1 else f"{count} {noun}s in a row"
