"""What is wrong with routes and splits, in plain words."""

import pytest

from tests.config.reading import SMALL, config_of, errors_of


def routes(text):
    return SMALL.replace("[{service: web}]", text)


MISTAKES = {
    routes("[{path: /a}]"): ["p.yaml:2: routes[0]: must have one of service, split, redirect or answer"],
    routes("[{service: web, answer: {}}]"): ["p.yaml:2: routes[0]: has service and answer: keep one"],
    routes("[{path: /a, path_exact: /b, service: web}]"): ["p.yaml:2: routes[0]: has path and path_exact: keep one"],
    routes("[{strip_prefix: true, service: web}]"): [
        "p.yaml:2: routes[0]: has strip_prefix without path, which is what it takes off"
    ],
    routes("[{split: nw}]") + "splits: {new: {services: {wb: 1}}}": [
        "p.yaml:2: routes[0].split: there is no 'nw' under splits; did you mean 'new'?",
        "p.yaml:6: splits.new.services.wb: there is no 'wb' under services; did you mean 'web'?",
    ],
    SMALL + "splits: {new: {services: {web: 0}}}": [
        "p.yaml:6: splits.new: must give at least one of its services a weight above 0"
    ],
    routes("[{redirect: {status: 301}}]"): [
        "p.yaml:2: routes[0].redirect: must have scheme, host, port or path: it would lead back to where it came from"
    ],
    routes("[{redirect: {path: '/\\1'}}]"): [
        "p.yaml:2: routes[0]: has a redirect.path that takes in a group of an expression, but there is none: write /"
    ],
    routes("[{answer: {status: 204, body: x}}]"): [
        "p.yaml:2: routes[0].answer: has a body with the status 204, which has none: leave body and content_type out"
    ],
    routes("[{methods: [get], service: web}]"): [
        "p.yaml:2: routes[0].methods[0]: must be a method such as GET, in capitals, not 'get'"
    ],
    routes("[{methods: [GET], service: web}, {methods: [GET], service: web}]"): [
        "p.yaml:2: routes[1]: has the same conditions as routes[0], which always wins"
    ],
}


@pytest.mark.parametrize(("text", "errors"), MISTAKES.items())
def test_it_says_what_to_change(text, errors):
    assert errors_of(text) == errors


def test_a_redirect_before_others_is_no_mistake():
    assert len(config_of(routes("[{redirect: {scheme: https}}, {service: web}]")).routes) == 2
