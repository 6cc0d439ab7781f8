"""The example configuration is true and whole."""

import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

import config
from config.load import load, parse
from config.schema import schema

EXAMPLE = Path(config.__file__).with_name("example.yaml")
DEFINITIONS = [schema(), *schema()["$defs"].values()]
KEYS = {
    key
    for definition in DEFINITIONS
    for form in (definition, *definition.get("anyOf", ()))
    for key in form.get("properties", {})
}


def test_it_loads():
    assert load(EXAMPLE, environ={}).services.keys() == {"web", "shop"}


def test_it_validates():
    Draft202012Validator(schema()).validate(yaml.safe_load(EXAMPLE.read_text()))


@pytest.mark.parametrize("key", sorted(KEYS))
def test_it_shows_every_key(key):
    assert re.search(rf"^ *(?:# |- )*{key}:|\{{{key}: ", EXAMPLE.read_text(), re.MULTILINE)


def test_the_values_it_calls_defaults_are_defaults():
    shown = load(EXAMPLE, environ={})
    text = (
        "{listeners: [{bind: ':1'}], routes: [{service: web}], services: {web: {discovery: {file: x}}}, registry: {}}"
    )
    default = parse(text, name="default", folder=EXAMPLE.parent, environ={})
    assert (shown.timeouts, shown.limits, shown.log) == (default.timeouts, default.limits, default.log)
    assert (shown.registry, shown.drain_timeout) == (default.registry, default.drain_timeout)
    ours, theirs = shown.services["web"], default.services["web"]
    assert (ours.balancer, ours.guard) == (theirs.balancer, theirs.guard)
    assert ours.health.panic_threshold == theirs.health.panic_threshold
    probe = ours.health.probe
    assert probe is not None
    assert probe == type(probe)(http="/healthz")
