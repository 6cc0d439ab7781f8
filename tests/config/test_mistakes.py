"""A whole file in, all its mistakes out, in plain words."""

from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from balancers.policies import names
from config.discovery import SOURCES_LISTED
from config.errors import ConfigError, Problem
from config.health import Passive
from proxy.assemble.checks import check_balancers
from tests.config.reading import CONTRACT, SMALL, config_of, errors_of

MISTAKES = {
    # unknown and missing keys
    SMALL + "    balncer: random": ["p.yaml:6: services.web.balncer: unknown key; did you mean 'balancer'?"],
    SMALL + "    Guard: {}": ["p.yaml:6: services.web.Guard: unknown key; did you mean 'guard'?"],
    SMALL + "log:\n  colour: red": ["p.yaml:7: log.colour: unknown key; valid keys are: format, level"],
    SMALL + "admin:\n": None,
    SMALL + "admin: {}": ["p.yaml:6: admin.bind: this key is required"],
    SMALL + "    balancer: {tipe: x}": ["p.yaml:6: services.web.balancer.type: this key is required"],
    # wrong types
    SMALL + "log: loud": ["p.yaml:6: log: must be a mapping, not 'loud'; valid keys are: format, level"],
    SMALL + "log:": ["p.yaml:6: log: must be a mapping, not nothing; valid keys are: format, level"],
    SMALL + "log: {level: verbose}": ["p.yaml:6: log.level: must be debug, info, warning or error, not 'verbose'"],
    SMALL + "    balancer: 5": [
        "p.yaml:6: services.web.balancer: must be a name or a mapping, not 5; valid keys are: type"
    ],
    SMALL + "limits: {header_count: '5'}": [
        "p.yaml:6: limits.header_count: must be a whole number, not '5'; write it without quotes"
    ],
    SMALL + "limits: {header_count: 0}": ["p.yaml:6: limits.header_count: must be at least 1, not 0"],
    SMALL + "limits: {header_count: 10001}": ["p.yaml:6: limits.header_count: must be at most 10000, not 10001"],
    SMALL + "limits: {header_count: true}": ["p.yaml:6: limits.header_count: must be a whole number, not true"],
    SMALL.replace("[{bind: ':8080'}]", "[]"): ["p.yaml:1: listeners: must have at least one item"],
    SMALL.replace("[{service: web}]", "{service: web}"): ["p.yaml:2: routes: must be a list, not a mapping"],
    SMALL.replace("web", "7"): [
        "p.yaml:2: routes[0].service: must be text, but YAML reads this as a number; put it in quotes",
        'p.yaml:4: services: the key 7 must be text; write "7"',
    ],
    # words with a form
    SMALL + "drain_timeout: 5 sec": [
        "p.yaml:6: drain_timeout: must be a duration such as 500ms, 5s, 1m30s or 2h, not '5 sec'"
    ],
    SMALL + "reload: {watch: 1}": ["p.yaml:6: reload.watch: must be true or false, not 1"],
    SMALL + "reload: {wach: true}": ["p.yaml:6: reload.wach: unknown key; did you mean 'watch'?"],
    SMALL + "takeover: {}": ["p.yaml:6: takeover: needs a socket, or a state_dir in which it is: add one of them"],
    SMALL + "takeover: {socket: ''}": ["p.yaml:6: takeover.socket: must be the path of a file or folder, not ''"],
    SMALL + f"takeover: {{socket: /{'x' * 107}}}": [
        "p.yaml:6: takeover.socket: must have at most 107 bytes, as all unix sockets: choose a shorter path"
    ],
    SMALL + "takeover: {socket: t.sock, timeout: 1h}": ["p.yaml:6: takeover.timeout: must be at most 10m, not 1h"],
    SMALL + "ready_from_state: true": ["p.yaml:6: ready_from_state: does nothing without state_dir: add it"],
    SMALL + "    guard: {max_shrink: 50}": [
        (
            "p.yaml:6: services.web.guard.max_shrink: "
            "must be a share from 0 to 1, or a percentage: write 50% if that is meant"
        )
    ],
    SMALL + "timeouts: {connect: 0s}": [
        "p.yaml:6: timeouts.connect: must be more than 0s; this wait cannot be without an end"
    ],
    SMALL + "limits: {headers: 2MiB}": ["p.yaml:6: limits.headers: must be at most 1MiB, not 2MiB"],
    SMALL + "limits: {headers: 0}": ["p.yaml:6: limits.headers: must be at least 1B, not 0B"],
    SMALL + "    health: {probe: {tcp: true, interval: 1ms}}": [
        "p.yaml:6: services.web.health.probe.interval: must be at least 10ms, not 1ms"
    ],
    SMALL + "    health: {panic_threshold: 50}": [
        (
            "p.yaml:6: services.web.health.panic_threshold: "
            "must be a share from 0 to 1, or a percentage: write 50% if that is meant"
        )
    ],
    SMALL.replace("{service: web}", "{host: 'a.com:80', path: api, service: web}"): [
        (
            "p.yaml:2: routes[0].host: "
            "must be a host name such as shop.example.com or *.example.com, without a port, not 'a.com:80'"
        ),
        (
            "p.yaml:2: routes[0].path: "
            "must begin with / and hold no spaces, '?', '#' or unescaped special characters, not 'api'"
        ),
    ],
    SMALL.replace("{service: web}", "{path: /api/*, service: web}"): [
        "p.yaml:2: routes[0].path: must be written without *, since /api takes everything below it too"
    ],
    SMALL.replace("  web:", "  my web:").replace("service: web", "service: my web"): [
        "p.yaml:2: routes[0].service: must be a name of 1 to 128 letters, digits, '.', '_' or '-', not 'my web'",
        "p.yaml:4: services[\"my web\"]: must be a name of 1 to 128 letters, digits, '.', '_' or '-', not 'my web'",
    ],
    SMALL + "timeouts: {queue: 0s}": [
        "p.yaml:6: timeouts.queue: must be more than 0s; this wait cannot be without an end"
    ],
    SMALL + "limits: {in_flight: -1}": ["p.yaml:6: limits.in_flight: must be at least 0, not -1"],
    SMALL + "limits: {queue: 1000001}": ["p.yaml:6: limits.queue: must be at most 1000000, not 1000001"],
    SMALL + "    limits: {in_flight: 5s, body: 1k}": [
        (
            "p.yaml:6: services.web.limits.body: "
            "must be a size such as 512B, 64KiB or 1MiB (units: B, KB, MB, GB, KiB, MiB, GiB), not '1k'"
        ),
        "p.yaml:6: services.web.limits.in_flight: must be a whole number, not '5s'",
    ],
    SMALL + "retries: {attempts: 11, budget_floor: 1.5, buffer: 17MiB, budget: 20}": [
        "p.yaml:6: retries.attempts: must be at most 10, not 11",
        ("p.yaml:6: retries.budget: must be a share from 0 to 1, or a percentage: write 20% if that is meant"),
        "p.yaml:6: retries.budget_floor: must be a whole number, not 1.5",
        "p.yaml:6: retries.buffer: must be at most 16MiB, not 17MiB",
    ],
    SMALL + "retries: {on: reset}": ["p.yaml:6: retries.on: must be a list, not 'reset'; write [reset]"],
    SMALL + "    retries:\n      on:\n        - resets\n        - reset\n        - 200\n": [
        (
            "p.yaml:8: services.web.retries.on[0]: must be connect, reset, timeout, "
            "or statuses from 400 to 599 such as 502, 5xx or 502-504, not 'resets'"
        ),
        (
            "p.yaml:10: services.web.retries.on[2]: must be connect, reset, timeout, "
            "or statuses from 400 to 599 such as 502, 5xx or 502-504, not 200"
        ),
    ],
    SMALL + "trusted_proxies: 10.0.0.0/8": [
        "p.yaml:6: trusted_proxies: must be a list, not '10.0.0.0/8'; write [10.0.0.0/8]"
    ],
    SMALL.replace("':8080'", "':8080', trusted_proxies: [unix, 10.0.0.1/8, proxy]"): [
        (
            "p.yaml:1: listeners[0].trusted_proxies[1]: must be a network without host bits, not '10.0.0.1/8'; "
            "did you mean 10.0.0.0/8, or the address 10.0.0.1 alone?"
        ),
        (
            "p.yaml:1: listeners[0].trusted_proxies[2]: must be an IP address such as 10.0.0.5, "
            "a network such as 10.0.0.0/8 or fd00::/8, or unix for the clients of a unix socket, not 'proxy'"
        ),
    ],
    SMALL + "    tls: {verify: false, ca: ca.pem}": [
        "p.yaml:6: services.web.tls: has ca, which nobody looks at with verify: false; take one of them out"
    ],
    SMALL + "    tls: {key: us.key}": [
        "p.yaml:6: services.web.tls: has key without cert: add the file of the certificate"
    ],
    SMALL + "    tls: {server_name: 'web:443', min_version: 1.1}": [
        (
            "p.yaml:6: services.web.tls.server_name: must be a host name or an IP address such as web.internal, "
            "without a port, not 'web:443'"
        ),
        'p.yaml:6: services.web.tls.min_version: must be "1.2" or "1.3", not 1.1',
    ],
    SMALL + "    proxy_protocol: v3": ["p.yaml:6: services.web.proxy_protocol: must be v1 or v2, not 'v3'"],
    SMALL.replace("':8080'", "':8080', proxy_protocol: [ten]"): [
        (
            "p.yaml:1: listeners[0].proxy_protocol[0]: must be an IP address such as 10.0.0.5, a network such as "
            "10.0.0.0/8 or fd00::/8, or unix for the clients of a unix socket, not 'ten'"
        )
    ],
    SMALL.replace("':8080'", "':8080', mode: '0660'"): [
        "p.yaml:1: listeners[0]: has mode, which only a unix socket has; take it out, or bind unix:/path"
    ],
    SMALL.replace("':8080'", "'unix:/run/a.sock', mode: '0990'"): [
        "p.yaml:1: listeners[0].mode: must be three octal digits, as in \"0660\", not '0990'"
    ],
    SMALL.replace("10.0.0.1:80", "'unix:app.sock'"): [
        (
            "p.yaml:5: services.web.discovery.static[0].address: must be unix: and an absolute path of at most 107 "
            "bytes, such as unix:/run/pointsman.sock, not 'unix:app.sock'"
        )
    ],
    SMALL.replace("':8080'", "':8080', tls: {certificates: []}"): [
        "p.yaml:1: listeners[0].tls: must have certificates, or acme"
    ],
    SMALL.replace("':8080'", "':8080', tls: {certificates: [{key: x}], min_version: 1.1, ciphers: nonsense}"): [
        "p.yaml:1: listeners[0].tls.certificates[0].cert: this key is required",
        'p.yaml:1: listeners[0].tls.min_version: must be "1.2" or "1.3", not 1.1',
        (
            "p.yaml:1: listeners[0].tls.ciphers: must be a list of ciphers that OpenSSL knows, such as "
            "ECDHE+AESGCM:ECDHE+CHACHA20, not 'nonsense'; openssl ciphers LIST shows what a list stands for"
        ),
    ],
    SMALL.replace("':8080'", "':8080', tls: {certificates: [{cert: x}], client_auth: optional}"): [
        (
            "p.yaml:1: listeners[0].tls: has client_auth without client_ca: "
            "add the file of those who issue your clients' certificates"
        )
    ],
    SMALL.replace("':8080'", "':8080', forwarded: forwarded, allow_trace: yes, allow_connect: 1"): [
        "p.yaml:1: listeners[0].forwarded: must be x_forwarded, rfc7239, both or none, not 'forwarded'",
        "p.yaml:1: listeners[0].allow_connect: must be true or false, not 1",
        "p.yaml:1: listeners[0].allow_trace: must be true or false, not 'yes'",
    ],
    SMALL + "request_id: new": ["p.yaml:6: request_id: must be keep, make or none, not 'new'"],
    SMALL + "access_log: stdout": [
        "p.yaml:6: access_log: must be a mapping, not 'stdout'; valid keys are: buffer, format, path, redact, sample"
    ],
    SMALL + "access_log: {format: jsn, buffer: 1B, path: '', sample: 101%, redact: [5, '']}": [
        "p.yaml:6: access_log.path: must be the path of a file or folder, not ''",
        (
            "p.yaml:6: access_log.format: must be json, clf, combined, or a template with at least one {field}, "
            "not 'jsn'; did you mean 'json'?"
        ),
        "p.yaml:6: access_log.sample: must be a share from 0% to 100% (0 to 1), not '101%'",
        "p.yaml:6: access_log.redact[0]: must be text, but YAML reads this as a number; put it in quotes",
        "p.yaml:6: access_log.redact[1]: must not be empty",
        "p.yaml:6: access_log.buffer: must be at least 1KiB, not 1B",
    ],
    SMALL + 'access_log: {format: "{a}\\n"}': [
        "p.yaml:6: access_log.format: must be one line, without line breaks or other control characters"
    ],
    SMALL + "    health: {passive: false}": [
        (
            "p.yaml:6: services.web.health.passive: must be a mapping, not false; valid keys are: "
            f"{', '.join(sorted(Passive.model_fields))}"
        )
    ],
    SMALL + "    health: {passive: {consecutive_5xx: 1001, base_ejection_time: 0s, max_ejection_percent: 10}}": [
        "p.yaml:6: services.web.health.passive.consecutive_5xx: must be at most 1000, not 1001",
        (
            "p.yaml:6: services.web.health.passive.base_ejection_time: "
            "must be more than 0s; this wait cannot be without an end"
        ),
        (
            "p.yaml:6: services.web.health.passive.max_ejection_percent: "
            "must be a share from 0 to 1, or a percentage: write 10% if that is meant"
        ),
    ],
    # keys of another level
    SMALL + "    timeouts: {keepalive: 1s, request_hed: 1s}": [
        (
            "p.yaml:6: services.web.timeouts.keepalive: unknown key; "
            "it belongs at the top of the file or under a listener"
        ),
        "p.yaml:6: services.web.timeouts.request_hed: unknown key; did you mean 'request'?",
    ],
    SMALL.replace("':8080'", "':8080', limits: {queue: 1}, retries: {}"): [
        "p.yaml:1: listeners[0].limits.queue: unknown key; it belongs at the top of the file or under a service",
        "p.yaml:1: listeners[0].retries: unknown key; it belongs at the top of the file or under a service",
    ],
    SMALL + "    access_log: {}": ["p.yaml:6: services.web.access_log: unknown key; it belongs at the top of the file"],
    SMALL + "health: {}": ["p.yaml:6: health: unknown key; it belongs under a service"],
    SMALL + "    forwarded: both": [
        "p.yaml:6: services.web.forwarded: unknown key; it belongs at the top of the file or under a listener"
    ],
    # one of several
    SMALL + "    health: {probe: {http: /, tcp: true}}": [
        "p.yaml:6: services.web.health.probe: has http and tcp: keep one"
    ],
    SMALL + "    health: {probe: {rise: 1}}": [
        "p.yaml:6: services.web.health.probe: must have one of http, tcp or grpc"
    ],
    SMALL + "    health: {probe: {tcp: yes}}": ["p.yaml:6: services.web.health.probe.tcp: must be true, not 'yes'"],
    SMALL + "    health: {probe: {grpc: a, method: POST}}": [
        "p.yaml:6: services.web.health.probe: has method with grpc: leave out what only http probes have"
    ],
    SMALL + "    health: {probe: {http: /, body: {contains: a, matches: b}}}": [
        "p.yaml:6: services.web.health.probe.body: has both contains and matches: keep one"
    ],
    SMALL + "    health: {probe: {http: /, body: {}}}": [
        "p.yaml:6: services.web.health.probe.body: must have contains or matches"
    ],
    SMALL + "    health: {probe: {http: /, body: {matches: '('}}}": [
        (
            "p.yaml:6: services.web.health.probe.body.matches: must be a regular expression, not '(': missing ), "
            "unterminated subpattern at position 0"
        )
    ],
    SMALL + "    health: {probe: {http: /, body: a, method: HEAD}}": [
        "p.yaml:6: services.web.health.probe: has body with method HEAD, whose answers have none"
    ],
    SMALL + "    health: {probe: {http: /, headers: {host: a}}}": [
        "p.yaml:6: services.web.health.probe: has a header Host: write it as host"
    ],
    SMALL + '    health: {probe: {grpc: "a\\tb"}}': [
        "p.yaml:6: services.web.health.probe.grpc: must be a gRPC service such as shop.v1.Orders, or empty, not 'a\\tb'"
    ],
    SMALL + "    health: {probe: {tcp: true, host: a, expect: 200}}": [
        "p.yaml:6: services.web.health.probe: has expect and host with tcp: leave out what only http probes have"
    ],
    # one part of another
    SMALL.replace("{service: web}", "{service: wbe}"): [
        "p.yaml:2: routes[0].service: there is no 'wbe' under services; did you mean 'web'?"
    ],
    SMALL.replace("{service: web}", "{service: xyz}"): [
        "p.yaml:2: routes[0].service: there is no 'xyz' under services; there are: web"
    ],
    SMALL.replace("{service: web}", "{host: A.com, service: web}, {host: a.com, service: web}"): [
        "p.yaml:2: routes[1]: has the same host and path as routes[0], which always wins"
    ],
    SMALL + "admin: {bind: ':8080'}": ["p.yaml:6: admin.bind: :8080 is taken already by listeners[0].bind"],
    SMALL + "registry:\n  bind: ':8080'": ["p.yaml:7: registry.bind: :8080 is taken already by listeners[0].bind"],
    SMALL + "registry: {bind: 'unix:/x'}": [
        (
            "p.yaml:6: registry.bind: must be host:port such as 127.0.0.1:8500, "
            "since Consul's clients do not know unix sockets, not 'unix:/x'"
        )
    ],
    SMALL.replace(":8080", ":0") + "admin: {bind: ':0'}": None,
    # raw connections
    "listeners: [{bind: ':1', tcp: {service: web}}]\nservices: {web: {discovery: {static: [10.0.0.1:80]}}}": None,
    SMALL.replace("':8080'", "':8080', tcp: {}"): ["p.yaml:1: listeners[0].tcp: must have service, routes or both"],
    SMALL.replace("':8080'", "':8080', tcp: {service: wbe}"): [
        "p.yaml:1: listeners[0].tcp.service: there is no 'wbe' under services; did you mean 'web'?"
    ],
    SMALL.replace("':8080'", "':8080', tcp: {service: web}, forwarded: both"): [
        "p.yaml:1: listeners[0].forwarded: does nothing beside tcp, for it is about requests: leave it out"
    ],
    SMALL.replace("':8080'", "':8080', tcp: {service: web}, tls: {certificates: [{cert: a.pem}]}"): None,
    SMALL.replace(
        "':8080'",
        "':8080', tcp: {service: web}, tls: {certificates: [{cert: a}], client_ca: b, forward_certificate: true}",
    ): [
        (
            "p.yaml:1: listeners[0].tls.forward_certificate: does nothing beside tcp, for it is about requests: "
            "leave it out"
        )
    ],
    SMALL.replace("':8080'", "':8080', tcp: {service: web}, deny: [10.0.0.1], rate_limit: {requests: 1, per: 1s}"): [
        "p.yaml:1: listeners[0].rate_limit: does nothing beside tcp, for it is about requests: leave it out"
    ],
    SMALL.replace("':8080'", "':8080', tcp: {service: web}, response_headers: {set: {A: b}}"): [
        "p.yaml:1: listeners[0].response_headers: does nothing beside tcp, for it is about requests: leave it out"
    ],
    SMALL.replace("':8080'", "':8080', tcp: {service: web}").replace("routes: [{service: web}]\n", "")
    + "    request_headers: {set: {A: b}}": [
        (
            "p.yaml:5: services.web.request_headers: does nothing: only TCP listeners lead to this service, "
            "whose connections have no headers; leave it out"
        )
    ],
    SMALL.replace("':8080'", "':8080', tcp: {routes: [{sni: A.b, service: web}, {sni: a.b, service: web}]}"): [
        "p.yaml:1: listeners[0].tcp.routes[1]: has the same sni as routes[0], which always wins"
    ],
    SMALL.replace("':8080'", "':8080', tcp: {service: web}").replace("routes: [{service: web}]\n", "")
    + "    sticky: {}\n    subset: {header: X}\n    balancer: {type: ring_hash, key: path}": [
        (
            "p.yaml:5: services.web.sticky: does nothing: only TCP listeners lead to this service, "
            "whose connections have no cookies; balance by ring_hash, or leave it out"
        ),
        (
            "p.yaml:6: services.web.subset: does nothing: only TCP listeners lead to this service, "
            "whose connections have no headers; leave it out"
        ),
        (
            "p.yaml:7: services.web.balancer: would have no key to go by: only TCP listeners lead to this "
            "service, whose connections have no paths, headers, cookies or queries; write key: client"
        ),
    ],
    # what is no configuration at all
    "": ["p.yaml: empty; a configuration has at least listeners, routes and services"],
    "# nothing": ["p.yaml: empty; a configuration has at least listeners, routes and services"],
    "- a": ["p.yaml:1: must be a mapping with the keys listeners, routes and services, not a list"],
}


@pytest.mark.parametrize(("text", "errors"), MISTAKES.items())
def test_mistakes(text, errors):
    if errors is None:
        config_of(text)
    else:
        assert errors_of(text) == errors


def test_all_mistakes_are_told_at_once_in_the_order_of_their_lines():
    text = """\
listeners:
  - bind: 8080
routes:
  - service: wbe
services:
  web:
    discovery: {static: ["${HOST}"]}
    helth: {}
    guard: {hold: soon}
log: {level: info}
log: {level: debug}
"""
    assert errors_of(text) == [
        (
            "p.yaml:2: listeners[0].bind: must be an address such as 127.0.0.1:8080, [::1]:8080, :8080 or "
            "unix:/run/pointsman.sock, not 8080"
        ),
        "p.yaml:4: routes[0].service: there is no 'wbe' under services; did you mean 'web'?",
        (
            "p.yaml:7: services.web.discovery.static[0]: the environment variable HOST is not set; "
            "set it, or write ${HOST:-default}"
        ),
        "p.yaml:8: services.web.helth: unknown key; did you mean 'health'?",
        "p.yaml:9: services.web.guard.hold: must be a duration such as 500ms, 5s, 1m30s or 2h, not 'soon'",
        "p.yaml:11: log: written twice; the first is on line 10",
    ]


def test_no_mistake_hides_those_in_other_keys():
    text = """\
listeners: [{bind: "127.0.0.1:42082"}]
routes: [{service: w}]
services:
  w: {discovery: {static: ["127.0.0.1:1", "127.0.0.1:1"]}, balancer: nope, health: {probe: {}}}
  v: {discovery: {static: ["127.0.0.1:1", "127.0.0.1:1", "bad"]}, balancer: nope}
"""
    known = ", ".join(names())
    assert sorted(errors_of(text, checks=[check_balancers])) == [
        f"p.yaml:4: services.w.balancer: there is no balancer 'nope'; there are {known}",
        "p.yaml:4: services.w.discovery.static[1]: must differ from item 0: both are 127.0.0.1:1",
        "p.yaml:4: services.w.health.probe: must have one of http, tcp or grpc",
        f"p.yaml:5: services.v.balancer: there is no balancer 'nope'; there are {known}",
        "p.yaml:5: services.v.discovery.static[1]: must differ from item 0: both are 127.0.0.1:1",
        (
            "p.yaml:5: services.v.discovery.static[2].address: must be an address such as 10.0.0.5:8080, "
            "app1.internal:8080 or [fd00::5]:8080, not 'bad'; the port is missing"
        ),
    ]


def test_a_misspelt_key_hides_nothing_of_its_neighbours():
    discovery = "{static: [], consul: {service: x, token: x, token_file: y, adres: 1}}"
    text = SMALL.replace("{static: [10.0.0.1:80]}", discovery)
    assert errors_of(text + "    health: {probe: {http: /, tcp: true, intervl: 1s}}") == [
        "p.yaml:5: services.web.discovery.consul.adres: unknown key; did you mean 'address'?",
        f"p.yaml:5: services.web.discovery: has static and consul: keep one of {SOURCES_LISTED}",
        "p.yaml:5: services.web.discovery.consul: has both token and token_file: keep one of them",
        "p.yaml:6: services.web.health.probe.intervl: unknown key; did you mean 'interval'?",
        "p.yaml:6: services.web.health.probe: has http and tcp: keep one",
    ]


def test_a_variable_without_a_value_counts_as_given():
    text = SMALL.replace("[10.0.0.1:80]", '[10.0.0.1:80], file: "${FILE}"')
    assert errors_of(text) == [
        (
            "p.yaml:5: services.web.discovery.file: the environment variable FILE is not set; "
            "set it, or write ${FILE:-default}"
        ),
        f"p.yaml:5: services.web.discovery: has static and file: keep one of {SOURCES_LISTED}",
    ]


def test_checks_of_others_are_told_with_the_rest():
    def check(data: Mapping[str, Any]):
        yield Problem(("services", "web", "balancer"), f"there is no balancer {data['services']['web']['balancer']}")

    text = SMALL.replace("{service: web}", "{service: wbe}") + "    balancer: magic\n"
    assert errors_of(text, checks=[check]) == [
        "p.yaml:2: routes[0].service: there is no 'wbe' under services; did you mean 'web'?",
        "p.yaml:6: services.web.balancer: there is no balancer magic",
    ]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.data())
def test_no_value_at_any_key_brings_pydantics_words_to_the_user(data):
    whole = yaml.safe_load(CONTRACT)
    whole.update(timeouts={"connect": "1s"}, limits={"headers": 1, "header_count": 1}, drain_timeout=1)
    whole.update(retries={"on": ["reset", 502], "budget": 1}, trusted_proxies=["::1"], request_id="keep")
    whole.update(access_log={"path": "x", "format": "json", "sample": 1, "redact": ["a"], "buffer": "1MiB"})
    whole["listeners"][0].update(forwarded="both", allow_trace=True, trusted_proxies=["::1"], limits={"body": 1})
    whole["services"]["web"].update(timeouts={"connect": 1}, limits={"queue": 1}, retries={"on": [502], "attempts": 1})
    whole["services"]["web"]["health"]["passive"] = {"enabled": True, "consecutive_5xx": 5}
    whole["services"]["etcd"] = {"discovery": {"etcd": {"prefix": "/a/", "endpoints": ["http://h:1"], "timeout": 1}}}
    kubernetes = {"service": "web", "port": 80, "kubeconfig": "k", "context": "c", "family": "ipv4", "zone": "auto"}
    whole["services"]["k8s"] = {"discovery": {"kubernetes": kubernetes}}
    dns = {"name": "web.lan", "type": "a", "port": 80, "servers": ["10.0.0.2"], "ttl_min": 1, "ttl_max": "5m"}
    http = {"url": "http://h/", "interval": 1, "timeout": 1, "headers": {"X-Key": "a"}, "token": "a"}
    eureka = {"app": "WEB", "urls": ["http://h/eureka"], "interval": 1, "secure": True, "address": "ip"}
    several = (("dns", dns), ("http", http), ("eureka", eureka))
    whole["services"].update({kind: {"discovery": {kind: keys}} for kind, keys in several})
    docker = {"service": "a", "engine": "https://h:1", "ca_file": "a", "cert_file": "b", "key_file": "c", "port": 80}
    swarm = {"labels": {"a": ""}, "mode": "vip", "network": "a", "prefix": "a.", "interval": 1, "timeout": 1}
    kinds = {"dns": dns, "http": http, "docker": docker, "swarm": swarm}
    whole["services"].update({kind: {"discovery": {kind: keys}} for kind, keys in kinds.items()})
    place = whole
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(VALUES)
    text = yaml.safe_dump(whole, allow_unicode=False)
    told = ""
    try:
        config_of(text.replace("$", ""))
    except ConfigError as error:
        told = str(error)
    for word in ("Input should", "pydantic", "function-", "Value error", "another value than"):
        assert word not in told
