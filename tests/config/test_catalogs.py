"""Catalogs in the configuration."""

import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError

from config.schema import schema
from config.service import Settings
from tests.config.reading import SMALL, config_of, errors_of

LISTENERS = "listeners: [{bind: ':8080'}]\n"
ALONE = LISTENERS + "catalogs: [{consul: {}}]\n"


def test_a_catalog_stands_in_for_routes_and_services():
    config = config_of(ALONE)
    assert (config.routes, dict(config.services)) == ((), {})
    (catalog,) = config.catalogs
    assert (catalog.name, catalog.tags, catalog.entrypoints) == ("consul", ("fabio", "traefik"), ())
    assert (catalog.consul.address, catalog.settings) == ("http://127.0.0.1:8500", Settings())
    Draft202012Validator(schema()).validate(yaml.safe_load(ALONE))


def test_it_may_stand_beside_them():
    text = (
        SMALL + "catalogs: [{name: a, consul: {}}, {name: b, consul: {datacenter: dc2}, settings: {balancer: random}}]"
    )
    config = config_of(text)
    assert [catalog.name for catalog in config.catalogs] == ["a", "b"]
    assert config.catalogs[1].settings.balancer.type == "random"
    assert len(config.routes) == 1
    Draft202012Validator(schema()).validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (LISTENERS + "services: {}\nroutes: []", "routes: must have at least one item"),
        (LISTENERS + "catalogs: []\nservices: {}\nroutes: []", "routes: must have at least one item"),
        (LISTENERS + "catalogs: []", "routes: this key is required"),
        (ALONE.replace("{}", "{service: web}"), "consul.service: unknown key"),
        (ALONE.replace("{}", "{token: a, token_file: b}"), "has both token and token_file: keep one of them"),
        (ALONE.replace("{}", "{}, tags: [consul]"), "tags[0]: must be fabio or traefik"),
        (ALONE.replace("{}", "{}, tags: []"), "tags: must have at least one item"),
        (ALONE.replace("{}", "{}, settings: {discovery: {static: []}}"), "settings.discovery: unknown key"),
        (ALONE.replace("{}", "{}, settings: {health: {probe: {}}}"), "must have one of http, tcp or grpc"),
        (ALONE.replace("{}", "{}}, {consul: {}"), "item 1 must differ from item 0: both are consul; give each a name"),
        (LISTENERS + "catalogs: [{name: web}]", "consul: this key is required"),
    ],
)
def test_mistakes(text, error):
    assert any(error in found for found in errors_of(text)), errors_of(text)


def test_the_schema_wants_routes_and_services_where_there_is_no_catalog():
    for text in (LISTENERS, LISTENERS + "catalogs: []", LISTENERS + "routes: []\nservices: {}"):
        with pytest.raises(ValidationError):
            Draft202012Validator(schema()).validate(yaml.safe_load(text))
