"""The keys of who may pass: what they are read as, and what is wrong with them."""

from __future__ import annotations

import pytest

from config.rate_limit import RateLimit
from tests.config.reading import SMALL, config_of, errors_of

ROUTE = SMALL.replace("routes: [{service: web}]", "routes: [{service: web, %s}]")
LISTENER = SMALL.replace("{bind: ':8080'}", "{bind: ':8080', %s}")
AT = "p.yaml:2: routes[0]."

MISTAKES = {
    "allow: []": "allow: must have at least one item; an empty list would let nobody in, so leave the key out",
    "deny: [10.0.0.5/8]": (
        "deny[0]: must be a network without host bits, not '10.0.0.5/8'; "
        "did you mean 10.0.0.0/8, or the address 10.0.0.5 alone?"
    ),
    "rate_limit: 7": "rate_limit: must be a mapping, not 7; valid keys are: burst, by, clients, per, requests",
    "rate_limit: []": "rate_limit: must have at least one item",
    "rate_limit: {per: 1s}": "rate_limit.requests: this key is required",
    "rate_limit: {requests: 0}": "rate_limit.requests: must be at least 1, not 0",
    "rate_limit: {requests: 1, per: 0s}": ("rate_limit.per: must be more than 0s; this wait cannot be without an end"),
    "rate_limit: {requests: 1, clients: 1000001}": "rate_limit.clients: must be at most 1000000, not 1000001",
    "rate_limit: [{requests: 1, by: ip}]": (
        "rate_limit[0].by: must be client, route or header:NAME such as header:X-Api-Key, not 'ip'"
    ),
    "rate_limit: {requests: 1, by: 'header:X-Forwarded-For'}": (
        "rate_limit.by: must name a header that is passed on as the client sent it, which X-Forwarded-For is not"
    ),
    "basic_auth: {}": "basic_auth.file: this key is required",
    "basic_auth: {file: u, realm: é}": "basic_auth.realm: must be 1 to 200 printable ASCII characters, not 'é'",
    "basic_auth: {file: u, header: x y}": "basic_auth.header: must be the name of a header such as X-User, not 'x y'",
    "basic_auth: {file: u, header: X_Request_Id}": (
        "basic_auth.header: must be another header: pointsman itself says what X_Request_Id is"
    ),
    "forward_auth: {path: /x}": "forward_auth.service: this key is required",
    "forward_auth: {service: wob}": "forward_auth.service: there is no 'wob' under services; did you mean 'web'?",
    "forward_auth: {service: web, copy: [X-User, Host]}": (
        "forward_auth.copy[1]: must be another header: pointsman itself says what Host is"
    ),
    "forward_auth: {service: web, timeout: 0s}": (
        "forward_auth.timeout: must be more than 0s; this wait cannot be without an end"
    ),
    "forward_auth: {service: web, path: check}": (
        "forward_auth.path: must be a path such as /healthz, which begins with / and holds no spaces or '#', "
        "not 'check'"
    ),
}


@pytest.mark.parametrize(("keys", "error"), MISTAKES.items(), ids=MISTAKES)
def test_a_mistake_in_a_route_is_told_in_plain_words(keys, error) -> None:
    assert errors_of(ROUTE % keys) == [AT + error]


def test_a_listener_has_the_first_three_alone() -> None:
    listener = config_of(LISTENER % "allow: [10.0.0.0/8], deny: [unix], rate_limit: {requests: 5}").listeners[0]
    assert listener.rate_limit == RateLimit(requests=5)
    assert listener.deny.unix
    [error] = errors_of(LISTENER % "basic_auth: {file: u}")
    assert error.startswith("p.yaml:1: listeners[0].basic_auth: unknown key")


def test_a_limit_may_be_a_list() -> None:
    route = config_of(ROUTE % "rate_limit: [{requests: 5}, {requests: 50, per: 1m, by: route}]").routes[0]
    assert route.rate_limit == (RateLimit(requests=5), RateLimit(requests=50, per=60.0, by="route"))


def test_relative_files_start_at_the_configurations_folder() -> None:
    auth = config_of(ROUTE % "basic_auth: {file: users}").routes[0].basic_auth
    assert auth is not None
    assert str(auth.file) == "/etc/pointsman/users"
