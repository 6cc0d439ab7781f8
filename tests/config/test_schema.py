import pytest
import yaml
from jsonschema import Draft202012Validator

from config.schema import keys_at, schema
from tests.config.reading import CONTRACT, SMALL

VALIDATOR = Draft202012Validator(schema())


def test_it_is_a_schema():
    Draft202012Validator.check_schema(schema())
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize(
    "text",
    [
        CONTRACT,
        SMALL,
        SMALL + "    balancer: {type: mine, choices: 2}",
        SMALL + "retries: {'on': [reset, connect, 502, 5xx, 502-504], buffer: 0}",
        SMALL + "    retries: {'on': []}",
        SMALL + "trusted_proxies: [unix, '::1', 10.0.0.0/8]",
        SMALL.replace("':8080'", "':8080', trusted_proxies: [], forwarded: none, allow_connect: true"),
        SMALL + "access_log: {}",
        SMALL + "access_log: {path: stderr, format: '{status}', redact: []}",
        SMALL + "    health: {passive: {enabled: false}}",
        SMALL + "    limits: {body: 0, in_flight: 5}",
        SMALL.replace(
            "static: [10.0.0.1:80]", "dns: {name: a.b, port: 80, servers: [10.0.0.2, '::1'], ttl_min: 500ms}"
        ),
        SMALL.replace("static: [10.0.0.1:80]", "http: {url: 'https://h/t?a=1', interval: 5, headers: {X-Key: a}}"),
    ],
)
def test_it_takes_what_a_user_may_write(text):
    VALIDATOR.validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    [
        SMALL + "    balncer: random",
        SMALL + "drain_timeout: 5 sec",
        SMALL + "drain_timeout: ''",
        SMALL + "limits: {headers: 8k}",
        SMALL + "admin: {bind: 80}",
        SMALL + "retries: {'on': reset}",
        SMALL + "retries: {'on': [200]}",
        SMALL + "retries: {'on': [resets]}",
        SMALL + "trusted_proxies: [proxy]",
        SMALL + "request_id: new",
        SMALL + "    limits: {connections: 1}",
        SMALL + "    limits: {in_flight: -1}",
        SMALL.replace("':8080'", "':8080', allow_trace: 'yes'"),
        SMALL.replace("  web:", "  my web:"),
        SMALL.replace("{static: [10.0.0.1:80]}", "{file: x, static: []}"),
        SMALL + "    health: {probe: {rise: 1}}",
        SMALL.replace("static: [10.0.0.1:80]", "dns: {port: 80}"),
        SMALL.replace("static: [10.0.0.1:80]", "dns: {name: a.b, type: mx}"),
        SMALL.replace("static: [10.0.0.1:80]", "http: {url: 'https://h/t', headers: [X-Key]}"),
        "routes: []",
    ],
)
def test_it_refuses_mistakes(text):
    assert not VALIDATOR.is_valid(yaml.safe_load(text))


def test_every_key_is_described():
    whole = schema()
    for definition in [whole, *whole["$defs"].values()]:
        for form in (definition, *definition.get("anyOf", ())):
            for key, value in form.get("properties", {}).items():
                assert value.get("description") or "$ref" in value, key
        assert definition.get("description")


def test_defaults_are_as_a_user_writes_them():
    parts = schema()["$defs"]
    assert parts["Timeouts"]["properties"]["request_head"]["default"] == "10s"
    assert parts["Limits"]["properties"]["headers"]["default"] == "32KiB"
    assert parts["Probe"]["properties"]["jitter"]["default"] == "10%"
    assert parts["Probe"]["properties"]["expect"]["default"] == ["200-399"]
    assert parts["Service"]["properties"]["balancer"]["default"] == "weighted_round_robin"
    assert parts["Retries"]["properties"]["on"]["default"] == ["reset"]
    assert parts["AccessLog"]["properties"]["path"]["default"] == "stdout"
    assert parts["Dns"]["properties"]["ttl_max"]["default"] == "5m"
    assert parts["Http"]["properties"]["interval"]["default"] == "10s"
    assert parts["Passive"]["properties"]["enabled"]["default"] is True
    assert "default" not in parts["ServiceTimeouts"]["properties"]["connect"]
    assert parts["EmbeddedRegistry"]["properties"]["bind"]["default"] == "127.0.0.1:8500"


def test_keys_at_a_path():
    assert keys_at(("log",)) == ["format", "level"]
    assert "weight" in keys_at(("services", "any", "discovery", "static", 3))
    assert keys_at(("services", "any", "balancer")) == ["type"]
    assert keys_at(("nowhere", "at", 0)) == []
