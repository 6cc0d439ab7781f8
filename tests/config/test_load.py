"""A whole file in, a Config out."""

import copy
import pickle
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from config.discovery import Discovery
from config.errors import ConfigError
from config.health import Passive
from config.load import load
from config.model import EmbeddedRegistry
from config.probe import Probe
from config.registries.static import StaticInstance
from config.retry_on import RetryOn
from config.service import Balancer, Guard
from config.traffic import Limits, Retries, Timeouts
from config.trusted import TrustedProxies
from config.units import Address, Bind
from tests.config.reading import CONTRACT, FOLDER, SMALL, config_of, service_of

TRAFFIC = """
retries: {on: [timeout, 502, 5xx], hedge_after: 10ms}
trusted_proxies: [10.0.0.0/8, unix]
access_log: {path: access.log, format: "{status}", redact: [X]}
"""


def test_the_contract():
    config = config_of(CONTRACT)
    assert config.listeners[0].bind == Bind("127.0.0.1", 8080)
    assert [(route.host, route.path, route.service) for route in config.routes] == [
        ("shop.example.com", "/api", "shop"),
        (None, None, "web"),
    ]
    web, shop, other = (config.services[name] for name in ("web", "shop", "other"))
    assert web.sources[0].consul is not None
    assert web.sources[0].consul.token is not None
    assert web.sources[0].consul.token.get_secret_value() == "abc"
    assert web.sources[0].consul.tags == ("a",)
    assert web.balancer == Balancer(type="round_robin")
    assert web.health.probe is not None
    assert (web.health.probe.http, web.health.probe.interval, web.health.probe.timeout) == ("/healthz", 5, 2)
    assert web.health.panic_threshold == 0.5
    assert shop.sources[0].static is not None
    assert [(item.address, item.weight) for item in shop.sources[0].static] == [
        (Address("127.0.0.1", 9001), 1),
        (Address("127.0.0.1", 9002), 3),
    ]
    assert other.sources[0].file == FOLDER / "instances.yaml"
    assert config.registry == EmbeddedRegistry(bind=Bind("127.0.0.1", 8500), data_dir=FOLDER / "registry")
    assert config.admin is not None
    assert config.admin.bind.port == 9900


def test_a_service_in_etcd():
    written = "{etcd: {prefix: /web/, endpoints: ['https://a:1/'], username: me, password_file: secret, timeout: 1s}}"
    etcd = config_of(SMALL.replace("{static: [10.0.0.1:80]}", written)).services["web"].sources[0].etcd
    assert etcd is not None
    assert (etcd.prefix, etcd.endpoints, etcd.timeout) == ("/web/", ("https://a:1",), 1)
    assert (etcd.username, etcd.password, etcd.password_file) == ("me", None, FOLDER / "secret")
    short = config_of(SMALL.replace("{static: [10.0.0.1:80]}", "{etcd: {prefix: /web/}}"))
    etcd = short.services["web"].sources[0].etcd
    assert etcd is not None
    assert (etcd.endpoints, etcd.username, etcd.timeout) == (("http://127.0.0.1:2379",), None, 5)


def test_defaults():
    config = config_of(SMALL)
    assert (config.registry, config.admin, config.log.level, config.log.format) == (None, None, "info", "json")
    assert config.timeouts == Timeouts(
        request_head=10,
        body_idle=30,
        connect=3,
        response_head=30,
        stream_idle=300,
        request=0,
        queue=5,
        keepalive=75,
        upstream_keepalive=50,
    )
    assert config.limits == Limits(
        request_line=8192,
        headers=32768,
        header_count=100,
        body=0,
        connections=0,
        connections_per_client=0,
        requests_per_connection=0,
        in_flight=0,
        in_flight_per_endpoint=0,
        queue=0,
        queue_per_endpoint=0,
    )
    assert config.retries == Retries(
        attempts=2,
        on=RetryOn(reset=True),
        budget=0.2,
        budget_floor=3,
        per_try_timeout=0,
        backoff=0.025,
        buffer=65536,
        hedge_after=0,
    )
    assert (config.trusted_proxies, config.forwarded, config.request_id) == (TrustedProxies(), "x_forwarded", "keep")
    assert config.access_log is None
    assert (config.listeners[0].allow_connect, config.listeners[0].allow_trace) == (False, False)
    assert config.drain_timeout == 30
    web = config.services["web"]
    assert (web.balancer, web.guard) == (Balancer(type="weighted_round_robin"), Guard(hold=60))
    assert (web.health.probe, web.health.panic_threshold) == (None, 0.5)
    assert web.health.passive == Passive(
        enabled=True,
        consecutive_5xx=5,
        consecutive_local_failures=5,
        base_ejection_time=30,
        max_ejection_percent=0.1,
    )


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
    config = config_of(CONTRACT + TRAFFIC)
    with pytest.raises(ValidationError):
        config.drain_timeout = 1
    with pytest.raises(TypeError):
        config.services["x"] = config.services["web"]
    assert pickle.loads(pickle.dumps(config)) == copy.deepcopy(config) == config


def test_what_is_dumped_can_be_loaded_and_holds_no_secret():
    text = CONTRACT.replace("balancer: round_robin", "balancer: {type: mine, a: {b: [1]}}")
    text = text.replace("127.0.0.1:8080 ", "127.0.0.1:8080\n    trusted_proxies: [unix, '::1']\n    limits: {body: 0}")
    config = config_of(text + TRAFFIC)
    dumped = config.model_dump(mode="json", exclude_none=True)
    assert "abc" not in str(dumped)
    assert "abc" not in repr(config)
    dumped["services"]["web"]["discovery"]["consul"]["token"] = "abc"
    assert config_of(yaml.safe_dump(dumped)) == config


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


@pytest.mark.parametrize(
    ("probe", "contains", "matches"),
    [
        ("{http: /, body: ok}", "ok", None),
        ("{http: /, body: {contains: ok}}", "ok", None),
        ("{http: /, body: {matches: '(?i)ok$'}}", None, "(?i)ok$"),
    ],
)
def test_the_body_of_a_probe(probe, contains, matches):
    body = service_of(f"    health: {{probe: {probe}}}\n").health.probe.body
    assert (body.contains, body.matches) == (contains, matches)


def test_the_intervals_of_a_probe():
    probe = service_of(
        "    health: {probe: {grpc: '', interval: 1m, unhealthy_interval: 1s, idle_interval: 5m}}\n"
    ).health.probe
    assert (probe.grpc, probe.interval, probe.unhealthy_interval) == ("", 60, 1)
    assert (probe.idle_interval, probe.idle_after) == (300, 60)
