import pytest
import yaml
from jsonschema import Draft202012Validator

from config.discovery import SOURCES, SOURCES_LISTED, rules_of
from config.registries.consul import age_of_cache, one_order
from config.schema import schema
from config.together import one_token
from tests.config.reading import SMALL, config_of, errors_of

KEYS = ", ".join(sorted([*SOURCES, "priority", "weight"]))


def with_sources(text):
    return SMALL.replace("{static: [10.0.0.1:80]}", text)


TWO = with_sources("[{consul: {service: old}, weight: 90}, {static: [10.0.0.1:80], weight: 10, priority: 1}]")


def test_one_source_needs_no_list():
    (source,) = config_of(SMALL).services["web"].sources
    assert (source.kind, source.weight, source.priority) == ("static", None, 0)


def test_several_sources_are_a_list():
    sources = config_of(TWO).services["web"].sources
    assert [(source.kind, source.weight, source.priority) for source in sources] == [
        ("consul", 90, 0),
        ("static", 10, 1),
    ]


def test_the_schema_takes_both():
    validator = Draft202012Validator(schema())
    for text in (SMALL, TWO):
        validator.validate(yaml.safe_load(text))
    for wrong in ("[]", "[{weight: 1}]", "[{static: [], file: x}]", "[{static: [], weight: -1}]"):
        assert not validator.is_valid(yaml.safe_load(with_sources(wrong)))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[]", "discovery: must have at least one item"),
        ("[{}]", f"discovery[0]: must have one of {SOURCES_LISTED}"),
        ("[{static: []}, {weight: 1, statik: []}]", "discovery[1].statik: unknown key; did you mean 'static'?"),
        ("[{static: [], weight: 1001}]", "discovery[0].weight: must be at most 1000, not 1001"),
        (
            "[{static: [], weight: 1}, {file: x}]",
            "discovery: must have a weight in each of its items or in none: they are shares of the same requests",
        ),
        (
            "[{static: [], weight: 0}, {file: x, weight: 0}]",
            "discovery: must have a weight above 0 in one of its items: nobody would get the requests",
        ),
        (
            "[{file: x}, {consul: {service: x, token: a, token_file: b}}]",
            "discovery[1].consul: has both token and token_file: keep one of them",
        ),
        ("[{static: [h:80, h:80]}]", "discovery[0].static[1]: must differ from item 0: both are h:80"),
        ("consul", f"discovery: must be a mapping, not 'consul'; valid keys are: {KEYS}"),
    ],
)  # fmt: skip
def test_mistakes_are_told_where_they_are(text, error):
    assert f"p.yaml:5: services.web.{error}" in errors_of(with_sources(text))


def test_the_rules_of_a_registry_are_found():
    assert rules_of("consul") == (one_token, age_of_cache, one_order)
    assert rules_of("file") == ()
