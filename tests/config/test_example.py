"""The example configuration is true and whole."""

import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import config
from config import levels
from config.guards import ListenerGuards
from config.load import load, parse
from config.register import ConsulAgent, OwnProbe, Register
from config.schema import schema
from config.source import read

EXAMPLE = Path(config.__file__).with_name("example.yaml")
DEFINITIONS = [schema(), *schema()["$defs"].values()]
KEYS = {
    key
    for definition in DEFINITIONS
    for form in (definition, *definition.get("anyOf", ()))
    for key in form.get("properties", {})
}


def test_it_loads():
    assert load(EXAMPLE, environ={}).services.keys() == {
        "web",
        "shop",
        "api",
        "reports",
        "jobs",
        "orders",
        "payments",
        "moving",
        "basket",
        "search",
    }


def test_it_validates():
    Draft202012Validator(schema()).validate(read(EXAMPLE.read_text(), name="example", environ={}).data)


@pytest.mark.parametrize("key", sorted(KEYS))
def test_it_shows_every_key(key):
    assert re.search(rf"^ *(?:# |- )*{key}:|\{{{key}: ", EXAMPLE.read_text(), re.MULTILINE)


def test_the_values_it_calls_defaults_are_defaults():
    shown = load(EXAMPLE, environ={})
    text = """
listeners: [{bind: ":1"}]
routes: [{service: web}]
services: {web: {discovery: {file: x}}}
registry: {}
access_log: {}
"""
    default = parse(text, name="default", folder=EXAMPLE.parent, environ={})
    assert (shown.timeouts, shown.limits, shown.log) == (default.timeouts, default.limits, default.log)
    assert (shown.registry, shown.drain_timeout) == (default.registry, default.drain_timeout)
    assert (shown.retries, shown.access_log) == (default.retries, default.access_log)
    assert (shown.trusted_proxies, shown.forwarded) == (default.trusted_proxies, default.forwarded)
    assert shown.request_id == default.request_id
    assert shown.listeners[0].model_copy(update={"bind": default.listeners[0].bind}) == default.listeners[0]
    ours, theirs = shown.services["web"], default.services["web"]
    assert (ours.balancer, ours.guard) == (theirs.balancer, theirs.guard)
    assert (ours.timeouts, ours.limits, ours.retries) == (theirs.timeouts, theirs.limits, theirs.retries)
    assert (ours.health.panic_threshold, ours.health.passive) == (theirs.health.panic_threshold, theirs.health.passive)
    probe = ours.health.probe
    assert probe is not None
    assert probe == type(probe)(http="/healthz")
    (ours_in,) = shown.registered
    assert ours_in == Register(service="gateway", consul=ConsulAgent(), probe=OwnProbe(tcp=True))
    dns, http = shown.services["api"].sources[0].dns, shown.services["reports"].sources[0].http
    assert dns is not None
    assert dns == type(dns)(name=dns.name, port=dns.port)
    assert http is not None
    assert http == type(http)(url=http.url)
    zookeeper = shown.services["payments"].sources[0].zookeeper
    assert zookeeper is not None
    assert zookeeper == type(zookeeper)(path=zookeeper.path)
    docker, swarm = shown.services["basket"].sources[0].docker, shown.services["search"].sources[0].swarm
    assert docker is not None
    assert docker == type(docker)(service=docker.service)
    assert swarm is not None
    assert swarm == type(swarm)(service=swarm.service)


def test_what_it_shows_of_the_lower_levels_is_whole_and_changes_nothing():
    text = EXAMPLE.read_text()
    commented = r"(?m)^ +# (?:timeouts|limits|retries|trusted_proxies|forwarded): (?:[^{\n]*|\{[^}]*\})$"
    shown = parse(
        re.sub(commented, lambda found: re.sub("(?m)^( +)# ", r"\1", found[0]), text),
        name="example",
        folder=EXAMPLE.parent,
        environ={},
    )
    listener, web = shown.listeners[0], shown.services["web"]
    for part in (listener.timeouts, listener.limits, web.timeouts, web.limits, web.retries):
        assert part.model_fields_set == type(part).model_fields.keys()
    off = ListenerGuards.model_fields.keys() | {"tcp", "tls", "proxy_protocol", "mode"}
    assert listener.model_fields_set == type(listener).model_fields.keys() - off
    assert levels.timeouts(shown, listener, web) == shown.timeouts
    assert levels.limits(shown, listener, web) == shown.limits
    assert levels.retries(shown, web) == shown.retries
    assert levels.trusted_proxies(shown, listener) == shown.trusted_proxies
    assert levels.forwarded(shown, listener) == shown.forwarded
