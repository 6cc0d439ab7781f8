"""What a service has beside its instances, made of its settings: its pool, its tries, its probes.

A simulation has the same of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from balancers.choice import plainly
from balancers.health import Thresholds
from balancers.outliers import Detection
from balancers.overrides import Override
from balancers.policies import find
from balancers.pool import Pool
from balancers.slow_start import SlowStart
from balancers.sticky import Cookie, Sticky
from balancers.subsets import Subsets
from balancers.zones import ZonePreference
from discovery.body_match import BodyMatch
from proxy.http.heads import HeadLimits
from proxy.http.retries import RetryPolicy
from proxy.http.terms import NEVER, Timeouts
from proxy.probe_pace import Intervals
from proxy.prober import ProbeOptions

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from balancers.choice import Compose
    from balancers.pool import Record
    from config import balancing, traffic
    from config.health import Passive
    from config.probe import Probe
    from config.service import Settings


class StickyKeyError(Exception):
    """The key that cookies are signed with cannot be read; the text says where, and why."""


def pool_of(wanted: Settings, source: random.Random, clock: Callable[[], float], record: Record) -> Pool:
    """Make a service's pool, with its policy; a simulation has the same, by a clock of its own."""
    probe, passive = wanted.health.probe, wanted.health.passive
    thresholds = Thresholds(
        rise=probe.rise if probe else 1,
        fall=probe.fall if probe else 1,
        must_pass_first=probe is not None and probe.initial == "fail",
        consecutive_5xx=passive.consecutive_5xx if passive.enabled else 0,
        consecutive_local_failures=passive.consecutive_local_failures if passive.enabled else 0,
        consecutive_gateway=passive.consecutive_gateway_errors if passive.enabled else 0,
        base_ejection_time=passive.base_ejection_time,
        max_ejection_time=passive.max_ejection_time,
        interval=passive.interval,
    )
    return Pool(
        find(wanted.balancer.type, wanted.balancer.options, clock),
        source,
        compose=_compose(wanted),
        slow_start=_slow_start(wanted.slow_start),
        sticky=_sticky(wanted.sticky),
        panic_threshold=wanted.health.panic_threshold,
        max_ejection=passive.max_ejection_percent,
        detection=_detection(passive),
        jitter=passive.ejection_jitter,
        thresholds=thresholds,
        record=record,
    )


def head_limits_of(limits: traffic.Limits) -> HeadLimits:
    """Return how large a head may be."""
    return HeadLimits(limits.request_line, limits.headers, limits.header_count)


def timeouts_of(wanted: traffic.Timeouts, retries: traffic.Retries) -> Timeouts:
    """Say how long each wait of a request may last; a simulation has the same."""
    return Timeouts(
        request_head=wanted.request_head,
        body_idle=wanted.body_idle or NEVER,
        connect=wanted.connect,
        response_head=min(wanted.response_head or NEVER, retries.per_try_timeout or NEVER),
        stream_idle=wanted.stream_idle or NEVER,
        request=wanted.request or NEVER,
        queue=wanted.queue,
        keepalive=wanted.keepalive or NEVER,
    )


def retry_policy_of(wanted: traffic.Retries) -> RetryPolicy:
    """Say what is tried again; a simulation has the same."""
    return RetryPolicy(
        attempts=wanted.attempts,
        on_reset=wanted.on.reset,
        on_timeout=wanted.on.timeout,
        statuses=frozenset(status for status in range(400, 600) if wanted.on.covers(status)),
        backoff=wanted.backoff,
        buffer=wanted.buffer,
        hedge_after=wanted.hedge_after or NEVER,
    )


def intervals_of(wanted: Probe) -> Intervals:
    """Make the intervals between probes; a simulation has the same."""
    return Intervals(
        healthy=wanted.interval,
        unhealthy=wanted.unhealthy_interval or wanted.interval,
        idle=wanted.idle_interval or 0.0,
        idle_after=wanted.idle_after,
        jitter=wanted.jitter,
    )


def probe_of(wanted: Probe) -> ProbeOptions:
    """Say how the instances are probed."""
    body = wanted.body
    return ProbeOptions(
        path=wanted.http or "",
        host=wanted.host,
        port=wanted.port or 0,
        expects=wanted.expects,
        timeout=wanted.timeout,
        intervals=intervals_of(wanted),
        grpc=wanted.grpc,
        method=wanted.method,
        headers={name: value.get_secret_value() for name, value in wanted.headers.items()},
        body=BodyMatch(body.contains or "", re.compile(body.matches) if body.matches else None) if body else None,
    )


def override_of(wanted: balancing.Override) -> Override:
    """Make what is to count of some instances against what the registry says."""
    return Override(
        id=wanted.id,
        address=wanted.address,
        zone=wanted.zone,
        tags=wanted.tags,
        metadata=dict(wanted.metadata),
        weight=wanted.weight,
        share=1.0 if wanted.share is None else wanted.share,
        priority=wanted.priority,
    )


def _compose(wanted: Settings) -> Compose:
    """Say how the policy is put to use: by subset, and in each by zone, where that is wanted."""
    zones, subset = wanted.zones, wanted.subset
    compose = ZonePreference(zones.prefer, zones.overprovisioning, zones.min_instances).compose if zones else plainly
    return Subsets(subset.header.lower().encode(), subset.metadata, subset.strict).over(compose) if subset else compose


def _slow_start(wanted: balancing.SlowStart | None) -> SlowStart | None:
    return SlowStart(wanted.window, wanted.aggression, wanted.min_weight) if wanted else None


def _detection(wanted: Passive) -> Detection:
    return Detection(
        wanted.interval,
        success_rate_factor=wanted.success_rate_factor if wanted.enabled else 0.0,
        success_rate_hosts=wanted.success_rate_min_endpoints,
        success_rate_volume=wanted.success_rate_min_requests,
        failure_share=wanted.failure_percentage if wanted.enabled else 0.0,
        failure_hosts=wanted.failure_percentage_min_endpoints,
        failure_volume=wanted.failure_percentage_min_requests,
    )


def _sticky(wanted: balancing.Sticky | None) -> Sticky | None:
    return Sticky(sticky_cookie_of(wanted), sticky_key_of(wanted)) if wanted is not None else None


def sticky_cookie_of(wanted: balancing.Sticky, name: str = "") -> Cookie:
    """Return the cookie by which clients go back; `name` is for one that is not given its own."""
    return Cookie(
        wanted.cookie or name,
        path=wanted.path,
        domain=wanted.domain,
        max_age=int(wanted.max_age),
        secure=wanted.secure,
        http_only=wanted.http_only,
        same_site=wanted.same_site.title(),
    )


def sticky_key_of(wanted: balancing.Sticky) -> bytes:
    """Return the key that signs such cookies; b"" for none. Raises StickyKeyError."""
    key = wanted.key.get_secret_value().encode() if wanted.key else b""
    if wanted.key_file is not None:
        try:
            key = wanted.key_file.read_bytes().strip()
        except OSError as error:
            raise StickyKeyError(f"sticky.key_file: {wanted.key_file} cannot be read: {error.strerror}") from error
        if not key:
            raise StickyKeyError(f"sticky.key_file: {wanted.key_file} is empty")
    return key
