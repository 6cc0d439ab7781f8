"""A whole file in, a Config or all its mistakes out."""

import copy
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from config.errors import ConfigError, Problem
from config.load import load, parse
from config.model import Balancer, Discovery, EmbeddedRegistry, Guard, Limits, Probe, StaticInstance, Timeouts
from config.units import Address, Bind
from proxy.assemble import check_balancers

FOLDER = Path("/etc/pointsman")

CONTRACT = """
listeners:
  - bind: 127.0.0.1:8080            # host:port, [::1]:port or unix:/path
routes:                             # first match wins
  - {host: shop.example.com, path: /api, service: shop}
  - {service: web}
services:
  web:
    discovery: {consul: {service: web, address: http://127.0.0.1:8500, token: abc, datacenter: dc1, tags: [a], filter: "x"}}
    balancer: round_robin           # or {type: weighted_round_robin, ...options}
    health:
      probe: {http: /healthz, interval: 5s, timeout: 2s, rise: 2, fall: 3}   # or {tcp: true, ...}
      panic_threshold: 50%
  shop:
    discovery: {static: [127.0.0.1:9001, {address: 127.0.0.1:9002, weight: 3}]}
  other:
    discovery: {file: instances.yaml}
registry: {bind: 127.0.0.1:8500, data_dir: ./registry}
admin: {bind: 127.0.0.1:9900}
log: {level: info, format: json}
"""  # noqa: E501
SMALL = """\
listeners: [{bind: ':8080'}]
routes: [{service: web}]
services:
  web:
    discovery: {static: [10.0.0.1:80]}
"""


def config_of(text, **environ):
    return parse(text, name="p.yaml", folder=FOLDER, environ=environ)


def service_of(text):
    return config_of(SMALL + text).services["web"]


def errors_of(text, checks=(), **environ):
    with pytest.raises(ConfigError) as failed:
        parse(text, name="p.yaml", folder=FOLDER, environ=environ, checks=checks)
    return str(failed.value).splitlines()


def test_the_contract():
    config = config_of(CONTRACT)
    assert config.listeners[0].bind == Bind("127.0.0.1", 8080)
    assert [(route.host, route.path, route.service) for route in config.routes] == [
        ("shop.example.com", "/api", "shop"),
        (None, None, "web"),
    ]
    web, shop, other = (config.services[name] for name in ("web", "shop", "other"))
    assert web.discovery.consul is not None
    assert web.discovery.consul.token is not None
    assert web.discovery.consul.token.get_secret_value() == "abc"
    assert web.discovery.consul.tags == ("a",)
    assert web.balancer == Balancer(type="round_robin")
    assert web.health.probe is not None
    assert (web.health.probe.http, web.health.probe.interval, web.health.probe.timeout) == ("/healthz", 5, 2)
    assert web.health.panic_threshold == 0.5
    assert shop.discovery.static is not None
    assert [(item.address, item.weight) for item in shop.discovery.static] == [
        (Address("127.0.0.1", 9001), 1),
        (Address("127.0.0.1", 9002), 3),
    ]
    assert other.discovery.file == FOLDER / "instances.yaml"
    assert config.registry == EmbeddedRegistry(bind=Bind("127.0.0.1", 8500), data_dir=FOLDER / "registry")
    assert config.admin is not None
    assert config.admin.bind.port == 9900


def test_defaults():
    config = config_of(SMALL)
    assert (config.registry, config.admin, config.log.level, config.log.format) == (None, None, "info", "json")
    assert config.timeouts == Timeouts(
        request_head=10, body_idle=30, connect=3, response_head=30, stream_idle=300, keepalive=75, upstream_keepalive=50
    )
    assert config.limits == Limits(request_line=8192, headers=32768, header_count=100)
    assert config.drain_timeout == 30
    web = config.services["web"]
    assert (web.balancer, web.guard) == (Balancer(type="weighted_round_robin"), Guard(hold=60))
    assert (web.health.probe, web.health.panic_threshold) == (None, 0.5)


def test_a_balancer_has_its_options_beside_its_type():
    balancer = service_of("    balancer: {type: mine, choices: 2, zones: [a]}\n").balancer
    assert balancer == Balancer(type="mine", options={"choices": 2, "zones": ["a"]})
    assert balancer.options == {"choices": 2, "zones": ("a",)}


@pytest.mark.parametrize(
    ("expect", "passing", "failing"),
    [("200-399", (200, 399), (199, 400)), ("2xx", (204,), (302,)), ("[200, 4xx]", (200, 404), (201, 500))],
)
def test_statuses_that_a_probe_expects(expect, passing, failing):
    probe = service_of(f"    health: {{probe: {{http: /, expect: {expect}}}}}\n").health.probe
    assert probe is not None
    assert all(probe.expects(status) for status in passing)
    assert not any(probe.expects(status) for status in failing)


def test_probe_defaults():
    probe = Probe(tcp=True)
    assert (probe.interval, probe.timeout, probe.rise, probe.fall) == (5, 2, 2, 3)
    assert (probe.initial, probe.expect, probe.host, probe.port, probe.jitter) == ("pass", ((200, 399),), "", None, 0.1)


def test_hosts_of_routes_are_stored_in_lower_case():
    config = config_of(SMALL.replace("{service: web}", "{host: '*.Example.COM', service: web}"))
    assert config.routes[0].host == "*.example.com"


def test_numbers_from_the_environment():
    assert config_of(SMALL + "limits:\n  header_count: ${N}\n", N="50").limits.header_count == 50


def test_the_result_is_immutable_and_can_be_copied():
    config = config_of(CONTRACT)
    with pytest.raises(ValidationError):
        config.drain_timeout = 1
    with pytest.raises(TypeError):
        config.services["x"] = config.services["web"]
    assert pickle.loads(pickle.dumps(config)) == copy.deepcopy(config) == config


def test_what_is_dumped_can_be_loaded_and_holds_no_secret():
    text = CONTRACT.replace("balancer: round_robin", "balancer: {type: mine, a: {b: [1]}}")
    config = config_of(text)
    dumped = config.model_dump(mode="json", exclude_none=True)
    assert "abc" not in str(dumped)
    assert "abc" not in repr(config)
    dumped["services"]["web"]["discovery"]["consul"]["token"] = "abc"
    assert config_of(yaml.safe_dump(dumped)) == config


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
    SMALL.replace("[10.0.0.1:80]", "10.0.0.1:80"): [
        "p.yaml:5: services.web.discovery.static: must be a list, not '10.0.0.1:80'; write [10.0.0.1:80]"
    ],
    SMALL.replace("[10.0.0.1:80]", "[80]"): [
        (
            "p.yaml:5: services.web.discovery.static[0]: must be an address or a mapping, not 80; "
            "valid keys are: address, id, metadata, tags, weight, zone"
        )
    ],
    SMALL.replace("web", "7"): [
        "p.yaml:2: routes[0].service: must be text, but YAML reads this as a number; put it in quotes",
        'p.yaml:4: services: the key 7 must be text; write "7"',
    ],
    SMALL.replace("10.0.0.1:80", "{address: 10.0.0.1:80, zone: true}"): [
        (
            "p.yaml:5: services.web.discovery.static[0].zone: must be text, but YAML reads this as true or false; "
            "put it in quotes"
        )
    ],
    # words with a form
    SMALL + "drain_timeout: 5 sec": [
        "p.yaml:6: drain_timeout: must be a duration such as 500ms, 5s, 1m30s or 2h, not '5 sec'"
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
    # one of several
    SMALL.replace("{static: [10.0.0.1:80]}", "{static: [], file: x.yaml}"): [
        "p.yaml:5: services.web.discovery: has static and file: keep one of static, file or consul"
    ],
    SMALL.replace("{static: [10.0.0.1:80]}", "{}"): [
        "p.yaml:5: services.web.discovery: must have one of static, file or consul"
    ],
    SMALL + "    health: {probe: {http: /, tcp: true}}": [
        "p.yaml:6: services.web.health.probe: has both http and tcp: keep one"
    ],
    SMALL + "    health: {probe: {rise: 1}}": ["p.yaml:6: services.web.health.probe: must have one of http and tcp"],
    SMALL + "    health: {probe: {tcp: yes}}": ["p.yaml:6: services.web.health.probe.tcp: must be true, not 'yes'"],
    SMALL + "    health: {probe: {tcp: true, host: a, expect: 200}}": [
        "p.yaml:6: services.web.health.probe: has expect and host with tcp: leave out what only http probes have"
    ],
    SMALL.replace("{static: [10.0.0.1:80]}", "{consul: {service: web, token: a, token_file: b}}"): [
        "p.yaml:5: services.web.discovery.consul: has both token and token_file: keep one of them"
    ],
    SMALL.replace("{static: [10.0.0.1:80]}", "{consul: {service: web, address: 127.0.0.1:8500}}"): [
        (
            "p.yaml:5: services.web.discovery.consul.address: must be the URL of a Consul agent such as "
            "http://127.0.0.1:8500 or https://consul.internal:8501, without a path, a query or a user name, "
            "not '127.0.0.1:8500'"
        )
    ],
    SMALL.replace("[10.0.0.1:80]", "[10.0.0.1:80, {address: h:1}, 10.0.0.1:80]"): [
        "p.yaml:5: services.web.discovery.static[2]: must differ from item 0: both are 10.0.0.1:80"
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
    known = "random, round_robin, weighted_random, weighted_round_robin"
    assert sorted(errors_of(text, checks=[check_balancers])) == [
        f"p.yaml:4: services.w.balancer: there is no balancer 'nope'; there are {known}",
        "p.yaml:4: services.w.discovery.static[1]: must differ from item 0: both are 127.0.0.1:1",
        "p.yaml:4: services.w.health.probe: must have one of http and tcp",
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
        "p.yaml:5: services.web.discovery: has static and consul: keep one of static, file or consul",
        "p.yaml:5: services.web.discovery.consul: has both token and token_file: keep one of them",
        "p.yaml:6: services.web.health.probe.intervl: unknown key; did you mean 'interval'?",
        "p.yaml:6: services.web.health.probe: has both http and tcp: keep one",
    ]


def test_a_variable_without_a_value_counts_as_given():
    text = SMALL.replace("[10.0.0.1:80]", '[10.0.0.1:80], file: "${FILE}"')
    assert errors_of(text) == [
        (
            "p.yaml:5: services.web.discovery.file: the environment variable FILE is not set; "
            "set it, or write ${FILE:-default}"
        ),
        "p.yaml:5: services.web.discovery: has static and file: keep one of static, file or consul",
    ]


def test_an_empty_token_is_called_empty():
    text = SMALL.replace("{static: [10.0.0.1:80]}", "{consul: {service: web, token: '${T}'}}")
    assert errors_of(text, T="") == [
        (
            "p.yaml:5: services.web.discovery.consul.token: must not be empty: "
            "set the variable that it is taken from, or leave token out to ask without one"
        )
    ]


@pytest.mark.parametrize(
    "key",
    [
        "drain_timeout: {}",
        "drain_timeout: {}s",
        "limits: {{headers: {}}}",
        "limits: {{headers: {}KiB}}",
        "limits: {{header_count: {}}}",
        "admin: {{bind: 'h:{}'}}",
        "admin: {{bind: '{}.1:80'}}",
        "    health: {{panic_threshold: {}}}",
        "    health: {{panic_threshold: {}%}}",
        "    health: {{probe: {{http: /, expect: {}}}}}",
        "    health: {{probe: {{http: /, port: {}}}}}",
    ],
)
@pytest.mark.parametrize("digits", ["9" * 400, "9" * 1000, "9" * 5000, "0x" + "f" * 1000, "0x" + "f" * 5000])
def test_long_numbers_are_refused_in_short(key, digits):
    (error,) = errors_of(SMALL + key.format(digits))
    assert "must " in error
    assert "Exceeds" not in error
    assert len(error) < 300


def test_a_size_of_many_digits():
    assert errors_of(SMALL + f"limits: {{headers: {'9' * 5000}KiB}}") == [
        (
            "p.yaml:6: limits.headers: must be a size such as 512B, 64KiB or 1MiB "
            f"(units: B, KB, MB, GB, KiB, MiB, GiB), not '{'9' * 59}…"
        )
    ]


@pytest.mark.parametrize(
    ("listener", "admin", "clash"),
    [
        ("0.0.0.0:80", "127.0.0.1:80", "0.0.0.0:80 is that port on all IPv4 addresses"),
        ("127.0.0.1:80", "0.0.0.0:80", "0.0.0.0:80 is that port on all IPv4 addresses"),
        (":80", "127.0.0.1:80", ":80 is that port on all addresses"),
        ("[::]:80", ":80", ":80 is that port on all addresses"),
        ("[::]:80", "[::1]:80", "[::]:80 is that port on all IPv6 addresses"),
        ("0.0.0.0:80", "[::]:80", None),
        ("[::]:80", "127.0.0.1:80", None),
        ("0.0.0.0:80", "127.0.0.1:81", None),
        (":0", "127.0.0.1:0", None),
    ],
)
def test_a_wildcard_takes_the_port_of_every_address(listener, admin, clash):
    text = SMALL.replace(":8080", listener) + f"admin: {{bind: '{admin}'}}"
    if clash is None:
        config_of(text)
    else:
        assert errors_of(text) == [
            f"p.yaml:6: admin.bind: {admin} clashes with {listener} of listeners[0].bind; {clash}"
        ]


def test_a_token_is_not_shown_in_an_error():
    text = SMALL.replace("{static: [10.0.0.1:80]}", "\n      consul:\n        service: web\n        token: ${TOKEN}")
    for token in ("12345", "12 345", "1.5"):
        (error,) = errors_of(text, TOKEN=token)
        assert error.startswith("p.yaml:8: services.web.discovery.consul.token: must be ")
        assert token not in error


def test_a_password_in_a_url_is_not_shown_in_an_error():
    text = SMALL.replace("{static: [10.0.0.1:80]}", "{consul: {service: web, address: 'http://me:secret@h:8500'}}")
    (error,) = errors_of(text)
    assert error.endswith("without a path, a query or a user name")


def test_checks_of_others_are_told_with_the_rest():
    def check(data: Mapping[str, Any]):
        yield Problem(("services", "web", "balancer"), f"there is no balancer {data['services']['web']['balancer']}")

    text = SMALL.replace("{service: web}", "{service: wbe}") + "    balancer: magic\n"
    assert errors_of(text, checks=[check]) == [
        "p.yaml:2: routes[0].service: there is no 'wbe' under services; did you mean 'web'?",
        "p.yaml:6: services.web.balancer: there is no balancer magic",
    ]


def test_a_file(tmp_path):
    file = tmp_path / "pointsman.yaml"
    file.write_text("\ufeff" + SMALL + "registry: {data_dir: data}", encoding="utf-8")
    registry = load(file).registry
    assert registry is not None
    assert registry.data_dir == tmp_path / "data"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, "{}: cannot be read: No such file or directory"),
        (b"a: 1\nb: \xff", "{}:2: not UTF-8; save the file in that encoding"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path, content, error):
    file = tmp_path / "pointsman.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as failed:
        load(file)
    assert str(failed.value) == error.format(file)


def test_parts_can_be_made_in_code():
    instance = StaticInstance(address=Address("h", 1), id="a")
    assert Discovery(static=(instance, StaticInstance(address=Address("h", 1)))).static is not None
    assert instance.identity == "a"
    assert EmbeddedRegistry().data_dir == Path.cwd() / "registry"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.data())
def test_no_value_at_any_key_brings_pydantics_words_to_the_user(data):
    whole = yaml.safe_load(CONTRACT)
    whole.update(timeouts={"connect": "1s"}, limits={"headers": 1, "header_count": 1}, drain_timeout=1)
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
