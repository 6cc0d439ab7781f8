"""What holds for a request: the service over the listener over the top of the file."""

import ipaddress

import pytest

from config import levels
from config.retry_on import RetryOn
from config.traffic import (
    Limits,
    ListenerLimits,
    ListenerTimeouts,
    Retries,
    ServiceLimits,
    ServiceRetries,
    ServiceTimeouts,
    Timeouts,
)
from config.trusted import TrustedProxies
from tests.config.reading import config_of

TEXT = """
listeners:
  - {bind: ":1"}
  - bind: ":2"
    timeouts: {body_idle: 1s, stream_idle: 1s, request: 1s, keepalive: 0s}
    limits: {body: 1KiB, connections: 0, headers: 1KiB}
    trusted_proxies: []
    forwarded: none
routes: [{service: plain}]
services:
  plain: {discovery: {static: []}}
  own:
    discovery: {static: []}
    timeouts: {stream_idle: 2s, request: 0s, connect: 2s}
    limits: {body: 0, in_flight: 7}
    retries: {attempts: 0, on: [], budget: 0%}
timeouts: {body_idle: 9s, keepalive: 9s, connect: 9s, response_head: 9s}
limits: {body: 9KiB, connections: 9, in_flight: 9, header_count: 9}
retries: {attempts: 9, on: [timeout, 5xx], budget_floor: 9}
trusted_proxies: [10.0.0.0/8]
forwarded: both
"""
CONFIG = config_of(TEXT)
BARE, OWN = CONFIG.listeners
PLAIN_SERVICE, OWN_SERVICE = CONFIG.services["plain"], CONFIG.services["own"]


def test_what_is_left_out_everywhere_is_as_the_top_has_it():
    assert levels.timeouts(CONFIG, BARE, PLAIN_SERVICE) == CONFIG.timeouts
    assert levels.limits(CONFIG, BARE, PLAIN_SERVICE) == CONFIG.limits
    assert levels.limits(CONFIG) == CONFIG.limits
    assert levels.retries(CONFIG, PLAIN_SERVICE) == CONFIG.retries
    assert levels.trusted_proxies(CONFIG, BARE) == CONFIG.trusted_proxies
    assert levels.forwarded(CONFIG, BARE) == "both"


def test_a_listener_goes_over_the_top():
    assert levels.timeouts(CONFIG, OWN, PLAIN_SERVICE) == Timeouts(
        body_idle=1, stream_idle=1, request=1, keepalive=0, connect=9, response_head=9
    )
    assert levels.limits(CONFIG, OWN) == Limits(body=1024, connections=0, headers=1024, in_flight=9, header_count=9)
    assert levels.trusted_proxies(CONFIG, OWN) == TrustedProxies()
    assert levels.forwarded(CONFIG, OWN) == "none"


def test_a_service_goes_over_the_top():
    assert levels.timeouts(CONFIG, BARE, OWN_SERVICE) == Timeouts(
        body_idle=9, stream_idle=2, request=0, keepalive=9, connect=2, response_head=9
    )
    assert levels.limits(CONFIG, service=OWN_SERVICE) == Limits(body=0, connections=9, in_flight=7, header_count=9)
    assert levels.retries(CONFIG, OWN_SERVICE) == Retries(attempts=0, on=RetryOn(), budget=0, budget_floor=9)


def test_a_service_goes_over_a_listener():
    assert levels.timeouts(CONFIG, OWN, OWN_SERVICE) == Timeouts(
        body_idle=1, stream_idle=2, request=0, keepalive=0, connect=2, response_head=9
    )
    assert levels.limits(CONFIG, OWN, OWN_SERVICE) == Limits(
        body=0, connections=0, in_flight=7, headers=1024, header_count=9
    )


def test_zero_is_not_left_out():
    assert OWN_SERVICE.limits.body == 0
    assert PLAIN_SERVICE.limits.body is None
    assert OWN_SERVICE.retries.on == RetryOn()
    assert PLAIN_SERVICE.retries.on is None
    assert OWN.trusted_proxies == TrustedProxies()
    assert BARE.trusted_proxies is None
    assert CONFIG.trusted_proxies == TrustedProxies((ipaddress.ip_network("10.0.0.0/8"),))


@pytest.mark.parametrize(
    ("lower", "whole"),
    [
        (ListenerTimeouts, Timeouts),
        (ServiceTimeouts, Timeouts),
        (ListenerLimits, Limits),
        (ServiceLimits, Limits),
        (ServiceRetries, Retries),
    ],
)
def test_a_lower_level_has_keys_of_the_top_alone_and_may_be_empty(lower, whole):
    assert lower.model_fields.keys() <= whole.model_fields.keys()
    assert set(lower().model_dump().values()) == {None}
    for key, field in lower.model_fields.items():
        assert field.description.startswith(whole.model_fields[key].description)


def test_every_key_has_a_lower_level_but_retries_which_a_listener_has_none_of():
    for whole, parts in (
        (Timeouts, (ListenerTimeouts, ServiceTimeouts)),
        (Limits, (ListenerLimits, ServiceLimits)),
        (Retries, (ServiceRetries,)),
    ):
        assert {key for part in parts for key in part.model_fields} == whole.model_fields.keys()
