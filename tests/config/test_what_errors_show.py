"""What an error repeats of what was written: no secret, and nothing at length."""

import pytest

from tests.config.reading import SMALL, errors_of


def test_a_token_is_not_shown_in_an_error():
    text = SMALL.replace("{static: [10.0.0.1:80]}", "\n      consul:\n        service: web\n        token: ${TOKEN}")
    for token in ("12345", "12 345", "1.5"):
        (error,) = errors_of(text, TOKEN=token)
        assert error.startswith("p.yaml:8: services.web.discovery.consul.token: must be ")
        assert token not in error


def test_a_password_is_not_shown_in_an_error():
    etcd = "\n      etcd:\n        prefix: /web/\n        username: me\n        password: 12345"
    text = SMALL.replace("{static: [10.0.0.1:80]}", etcd)
    (error,) = errors_of(text)
    assert error.startswith("p.yaml:9: services.web.discovery.etcd.password: must be ")
    assert "12345" not in error


def test_a_password_in_a_url_is_not_shown_in_an_error():
    text = SMALL.replace("{static: [10.0.0.1:80]}", "{consul: {service: web, address: 'http://me:secret@h:8500'}}")
    (error,) = errors_of(text)
    assert error.endswith("without a path, a query or a user name")


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
        "limits: {{in_flight: {}}}",
        "retries: {{buffer: {}KiB}}",
        "retries: {{on: [{}]}}",
        "trusted_proxies: ['{}.1']",
        "trusted_proxies: ['10.0.0.0/{}']",
        "access_log: {{sample: {}%}}",
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
