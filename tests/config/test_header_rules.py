"""Mistakes in rules for headers and in mirrors, and what they are told to write."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from yaml import safe_load

from config.header_rules import RequestHeaders, pieces_of
from config.mirror import Mirror
from config.schema import schema
from tests.config.reading import SMALL, config_of, errors_of

HOP = "belongs to the connection, and pointsman alone writes it"
OURS = "must be another header: pointsman itself says what {0} is"
REQUESTS = {
    "{set: {Content-Length: '1'}}": f"set.Content-Length: must be another header: Content-Length {HOP}",
    "{add: {transfer_encoding: x}}": f"add.transfer_encoding: must be another header: transfer_encoding {HOP}",
    "{remove: [Connection]}": f"remove[0]: must be another header: Connection {HOP}",
    "{remove: [TE]}": f"remove[0]: must be another header: TE {HOP}",
    "{set: {Via: me}}": "set.Via: " + OURS.format("Via"),
    "{set: {X-Request-Id: a}}": "set.X-Request-Id: "
    + OURS.format("X-Request-Id")
    + ": see request_id, or give it another name",
    "{set: {X-Client-Cert-Subject: a}}": "set.X-Client-Cert-Subject: " + OURS.format("X-Client-Cert-Subject"),
    "{remove: [X-Pointsman-Mirror]}": "remove[0]: " + OURS.format("X-Pointsman-Mirror"),
    "{add: {Host: a}}": "add.Host: must be under set, since Host is there once",
    "{add: {X-Forwarded-For: a}}": "add.X-Forwarded-For: must be under set, since X-Forwarded-For is there once",
    "{remove: [Host]}": "remove[0]: must be left out: a request has a Host; set it to another one",
    "{set: {Host: 'a b'}}": ": has a Host that is none: write a host name, alone or with a port, not 'a b'",
    "{set: {Host: '{client}'}}": ": has a Host that is none: write a host name, alone or with a port, not '{client}'",
    "{set: {X_Forwarded_For: a}}": "set.X_Forwarded_For: must be written with '-': many applications take "
    "X_Forwarded_For for another one",
    "{remove: ['X-*']}": "remove[0]: must be longer: X-* would take x-request-id out too, which pointsman alone writes",
    "{remove: ['c*']}": "remove[0]: must be longer: c* would take connection out too, which pointsman alone writes",
    "{remove: ['*']}": "remove[0]: must be the name of a header, or the beginning of names and *, such as X-Debug-*, "
    "not '*'",
    "{set: {'X-*': a}}": "set.X-*: must be a whole name, not 'X-*': only remove takes what ends in *",
    "{set: {'X A': a}}": "set.X A: must be the name of a header such as X-Team, not 'X A'",
    '{set: {X-A: "a\\r\\nX-B: b"}}': "set.X-A: must be one line of ASCII characters, not empty, without a space at "
    "either end, of at most 4096 characters, not 'a\\r\\nX-B: b'",
    "{set: {X-A: '{endpoint}'}}": "set.X-A: has {endpoint}, which is none of {client}, {host}, {method}, {path}, "
    "{request_id}, {scheme} or {service}; write {{ for a {",
    "{set: {X-A: 'a}'}}": "set.X-A: must have {{ for {, and }} for }",
    "{set: {X-A: a}, remove: [x-a]}": ": has x-a under both set and remove: keep one; set replaces what is there",
    "{add: {X-A: a, x-a: b}}": ": has x-a twice under add, in other letters: keep one",
    "{sets: {}}": "sets: unknown key; did you mean 'set'?",
}


@pytest.mark.parametrize(("written", "told"), REQUESTS.items())
@pytest.mark.parametrize("level", ["listener", "route", "service"])
def test_a_rule_for_requests_that_cannot_be(written: str, told: str, level: str) -> None:
    text, where = {
        "listener": (SMALL.replace("':8080'", f"':8080', request_headers: {written}"), "listeners[0]"),
        "route": (SMALL.replace("{service: web}", f"{{service: web, request_headers: {written}}}"), "routes[0]"),
        "service": (SMALL + f"    request_headers: {written}", "services.web"),
    }[level]
    [error] = errors_of(text)
    path, _, message = error.partition(": ")[2].partition(": ")
    key, _, wanted = told.partition(": ")
    assert path.replace('["', ".").replace('"]', "") == f"{where}.request_headers" + (f".{key}" if key else "")
    assert message == wanted


@pytest.mark.parametrize("written", ["{set: {Keep-Alive: a}}", "{remove: [Content-*]}", "{add: {Trailer: a}}"])
def test_a_rule_for_responses_that_cannot_be(written: str) -> None:
    [error] = errors_of(SMALL + f"    response_headers: {written}")
    assert "pointsman alone writes" in error


def test_what_only_responses_may_have() -> None:
    text = "    response_headers: {set: {X-Request-Id: '{request_id}', X-By: '{endpoint}'}, remove: [Via, X-*]}"
    assert config_of(SMALL + text).services["web"].response_headers.remove == ("Via", "X-*")


MISTAKES = {
    "{service: web, mirror: {service: wbe}}": "routes[0].mirror.service: there is no 'wbe' under services; "
    "did you mean 'web'?",
    "{service: web, mirror: {service: web, share: 10}}": "routes[0].mirror.share: must be a share from 0 to 1, or a "
    "percentage: write 10% if that is meant",
    "{service: web, mirror: {service: web, in_flight: 0}}": "routes[0].mirror.in_flight: must be at least 1, not 0",
    "{service: web, mirror: {service: web, timeout: 0s}}": "routes[0].mirror.timeout: must be more than 0s; this wait "
    "cannot be without an end",
    "{service: web, mirror: {service: web, max_body: 17MiB}}": "routes[0].mirror.max_body: must be at most 16MiB, not "
    "17MiB",
    "{service: web, mirror: web}": "routes[0].mirror: must be a mapping, not 'web'; valid keys are: in_flight, "
    "max_body, service, share, timeout",
    "{answer: {}, mirror: {service: web}}": "routes[0]: has mirror with answer, which no instance gets: leave it out",
    "{redirect: {path: /a}, request_headers: {remove: [A]}}": "routes[0]: has request_headers with redirect, which no "
    "instance gets: leave it out",
}


@pytest.mark.parametrize(("route", "told"), MISTAKES.items())
def test_a_mirror_that_cannot_be(route: str, told: str) -> None:
    assert errors_of(SMALL.replace("{service: web}", route)) == [f"p.yaml:2: {told}"]


def test_defaults() -> None:
    assert Mirror(service="a").model_dump() == {
        "service": "a",
        "share": "100%",
        "in_flight": 100,
        "max_body": "64KiB",
        "timeout": "30s",
    }
    assert config_of(SMALL).listeners[0].request_headers == RequestHeaders()


def test_the_schema_takes_them() -> None:
    text = SMALL.replace(
        "{service: web}",
        "{service: web, mirror: {service: web, share: 1%}, response_headers: {set: {A: b}, add: {C: d}, remove: [E*]}}",
    )
    assert config_of(text)
    Draft202012Validator(schema()).validate(safe_load(text))


@pytest.mark.parametrize(
    ("value", "pieces"),
    [
        ("a", ("a",)),
        ("{client}", (("client",),)),
        ("a{client}b{host}", ("a", ("client",), "b", ("host",))),
        ("{{{client}}}", ("{", ("client",), "}")),
        ("{{client}}", ("{", "client", "}")),
    ],
)
def test_values_are_split_into_texts_and_placeholders(value: str, pieces: tuple[Any, ...]) -> None:
    assert pieces_of(value) == pieces
