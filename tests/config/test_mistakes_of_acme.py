"""What is wrong with the keys of certificates that are got from an authority, in plain words."""

import pytest

from config.acme import LETS_ENCRYPT
from tests.config.reading import SMALL, config_of, errors_of

AGREED = "acme: {terms_agreed: true, "
NOT_AGREED = (
    "p.yaml:6: acme: must have terms_agreed: true, which says that you agree to the terms of service of the authority"
)
MISTAKES = {
    "acme: {}": [NOT_AGREED],
    "acme: {terms_agreed: false, domains: [a.example.com]}": [NOT_AGREED],
    AGREED + "domains: ['*.example.com']}": [
        (
            "p.yaml:6: acme.domains[0]: cannot be '*.example.com', for HTTP-01 proves no wildcard: name each host, "
            "or give certificates of your own"
        )
    ],
    AGREED + "domains: [a.example.com, A.example.com]}": [
        "p.yaml:6: acme.domains: item 1 must differ from item 0: both are a.example.com; name each host once"
    ],
    AGREED + "domains: [10.0.0.1]}": [
        "p.yaml:6: acme.domains[0]: must be a host name such as shop.example.com, not '10.0.0.1'"
    ],
    AGREED + "domains: [../../etc]}": [
        "p.yaml:6: acme.domains[0]: must be a host name such as shop.example.com, not '../../etc'"
    ],
    AGREED + "directory: http://a.example.com}": [
        (
            f"p.yaml:6: acme.directory: must be the https URL of an ACME directory such as {LETS_ENCRYPT}, "
            "not 'http://a.example.com'"
        )
    ],
    AGREED + "email: ops}": ["p.yaml:6: acme.email: must be an address such as ops@example.com, not 'ops'"],
}


@pytest.mark.parametrize(("text", "told"), MISTAKES.items())
def test_each_mistake_is_told(text, told):
    assert errors_of(SMALL + text) == told


def test_the_defaults_are_those_of_the_public_authority():
    acme = config_of(SMALL + AGREED + "domains: [Shop.Example.com]}").acme
    assert acme is not None
    assert (acme.domains, acme.directory, acme.folder.name) == (("shop.example.com",), LETS_ENCRYPT, "acme")


LISTENER = "p.yaml:1: listeners[0].tls"


@pytest.mark.parametrize(
    ("tls", "told"),
    [
        (
            "{acme: {domains: [a.example.com]}}",
            [f"{LISTENER}.acme: does nothing without acme at the top of the file: add it, with terms_agreed: true"],
        ),
        ("{min_version: '1.3'}", [f"{LISTENER}: must have certificates, or acme"]),
    ],
)
def test_a_listener_wants_certificates_from_somewhere(tls, told):
    assert errors_of(SMALL.replace("':8080'", f"':8080', tls: {tls}")) == told
