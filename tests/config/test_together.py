from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from config.discovery import SOURCES_LISTED, Discovery, one_source
from config.model import EmbeddedRegistry
from config.probe import Probe, one_probe
from config.registries.consul import Consul
from config.registries.dns import Dns, dns_port, dns_ttls
from config.registries.etcd import Etcd
from config.registries.eureka import Eureka
from config.registries.http import Http
from config.registries.static import StaticInstance
from config.together import one_login, one_token, repeated
from config.units import Address, Bind


@pytest.mark.parametrize(
    ("rule", "given", "message"),
    [
        (one_source, ["file"], None),
        (one_source, [], f"must have one of {SOURCES_LISTED}"),
        (
            one_source,
            ["consul", "static"],
            f"has static and consul: keep one of {SOURCES_LISTED}",
        ),
        (one_token, ["token"], None),
        (one_token, ["service", "token", "token_file"], "has both token and token_file: keep one of them"),
        (one_login, ["prefix"], None),
        (one_login, ["username", "password"], None),
        (one_login, ["username", "password_file"], None),
        (one_login, ["username"], "has username alone: add password or password_file"),
        (one_login, ["password_file"], "has password_file without username: add it"),
        (
            one_login,
            ["username", "password", "password_file"],
            "has both password and password_file: keep one of them",
        ),
        (one_probe, ["http", "expect", "host"], None),
        (one_probe, ["rise"], "must have one of http, tcp or grpc"),
        (one_probe, ["http", "tcp"], "has http and tcp: keep one"),
        (one_probe, ["grpc", "host"], None),
        (one_probe, ["grpc", "tcp", "http"], "has http and tcp and grpc: keep one"),
        (one_probe, ["grpc", "body", "method"], "has body and method with grpc: leave out what only http probes have"),
        (one_probe, ["tcp", "host"], "has host with tcp: leave out what only http probes have"),
    ],
)
def test_rules(rule, given, message):
    assert rule(dict.fromkeys(given, "a value")) == message


@pytest.mark.parametrize(
    ("rule", "given", "message"),
    [
        (one_token, {"token": "a", "headers": {"X-Key": "b"}}, None),
        (one_token, {"headers": {"Authorization": "Basic b"}}, None),
        (one_token, {"token": "a", "headers": "no mapping"}, None),
        (
            one_token,
            {"token": "a", "headers": {"AUTHORIZATION": "Basic b"}},
            "has token and a header Authorization: keep one of them",
        ),
        (dns_port, {"port": 80}, None),
        (dns_port, {"type": "srv"}, None),
        (dns_port, {"type": "${TYPE}"}, None),
        (dns_port, {"type": []}, None),
        (dns_port, {}, "must have a port, for addresses come without; only type srv needs none"),
        (
            dns_port,
            {"type": "srv", "port": 80},
            "has port with type srv: leave it out, for SRV records name the ports",
        ),
        (dns_ttls, {}, None),
        (dns_ttls, {"ttl_min": "1s", "ttl_max": 1.0}, None),
        (dns_ttls, {"ttl_min": "soon", "ttl_max": 0.5}, None),
        (dns_ttls, {"ttl_max": 0.5}, "must have a ttl_min of at most ttl_max, not 1s and 500ms"),
    ],
)
def test_rules_that_look_at_values(rule, given, message):
    assert rule(given) == message


def test_an_unknown_identity_is_like_no_other():
    assert list(repeated(["a", None, None, "a"])) == [(3, "must differ from item 0: both are a")]


def test_parts_made_in_code_obey_too():
    twin = StaticInstance(address=Address("h", 1))
    for make in (
        Discovery,
        Probe,
        lambda: Etcd(prefix="/web/", username="me"),
        lambda: Eureka(app="WEB", vip="web"),
        lambda: Eureka(app="WEB", username="me"),
        lambda: Consul(service="x", token=SecretStr("a"), token_file=Path("b")),
        lambda: Discovery(static=(twin, twin)),
        lambda: Dns(name="web.internal"),
        lambda: Dns(name="web.internal", port=80, ttl_min=9.0, ttl_max=1.0),
        lambda: Http(url="http://h/", token=SecretStr("a"), headers={"Authorization": SecretStr("Basic b")}),
        lambda: EmbeddedRegistry(bind=Bind(path="/x")),
    ):
        with pytest.raises(ValidationError):
            make()
