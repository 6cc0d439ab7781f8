"""What this process registers: the keys under `register`."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from config.errors import ConfigError
from config.load import load, parse
from config.model import Config
from config.provider import Provider
from config.register import ConsulAgent, EtcdKey, OwnProbe, Register, parse_own_address
from config.schema import schema
from tests.config.reading import FOLDER, SMALL, config_of, errors_of

HERE = "register: {service: web, consul: {}, port: 80"


def registered(text: str, **environ: str) -> tuple[Register, ...]:
    found: tuple[Register, ...] = config_of(SMALL + text, **environ).registered
    return found


def test_nothing_is_registered_unless_it_is_asked_for():
    assert config_of(SMALL).registered == ()


def test_one_with_its_defaults():
    assert registered("register: {service: web, consul: {}}") == (
        Register(
            service="web",
            consul=ConsulAgent(address="http://127.0.0.1:8500", deregister_after=60.0),
            probe=OwnProbe(tcp=True, interval=2.0, timeout=2.0, rise=1, fall=3),
            ttl=15.0,
            deregister_delay=2.0,
        ),
    )


def test_several_with_all_keys():
    text = """
register:
  - service: web
    consul: {address: "http://10.0.0.1:8500/", token: "${TOKEN}", deregister_after: 5m}
    id: web-1
    address: fd00::5
    port: 8080
    tags: [a, b]
    metadata: {version: "2"}
    weight: 3
    zone: eu-1
    probe: {http: /healthz, expect: [2xx], host: web.internal, address: 10.0.0.5, port: 9000, interval: 1s, rise: 2}
    ttl: 30s
    deregister_delay: 0s
  - {service: web, etcd: {endpoints: ["http://e1:2379"], username: u, password_file: p, prefix: /s/web/}}
"""
    one, two = registered(text, TOKEN="secret")
    assert (one.kind, two.kind) == ("consul", "etcd")
    assert one.consul is not None
    assert one.consul.token is not None
    assert one.consul.token.get_secret_value() == "secret"
    assert (one.id, one.address, one.port, one.weight, one.ttl) == ("web-1", "fd00::5", 8080, 3, 30.0)
    assert one.probe.expects(204)
    assert not one.probe.expects(302)
    assert two.etcd == EtcdKey(
        endpoints=("http://e1:2379",), username="u", password_file=FOLDER / "p", prefix="/s/web/"
    )


def test_the_identity_is_the_same_after_a_restart():
    one = Register(service="web", consul=ConsulAgent())
    assert one.identity(80) == one.identity(80) != one.identity(81)
    assert one.identity(80).startswith("web-")
    assert Register(service="web", consul=ConsulAgent(), id="x").identity(80) == "x"


def test_it_can_be_written_out_and_read_again():
    config = config_of(SMALL + HERE + ", tags: [a], metadata: {k: v}, probe: {http: /}}")
    dumped = config.model_dump(mode="json", exclude_none=True)
    assert dumped["register"]["service"] == "web"
    assert config_of(yaml.safe_dump(dumped)) == config


MISTAKES = {
    "register: {service: web}": ["p.yaml:6: register: must have one of consul, etcd, eureka or zookeeper"],
    "register: {service: web, consul: {}, etcd: {}}": [
        "p.yaml:6: register: has consul and etcd: keep one of consul, etcd, eureka or zookeeper"
    ],
    "register: {consul: {}}": ["p.yaml:6: register.service: this key is required"],
    "register: []": ["p.yaml:6: register: must have at least one item"],
    HERE + ", pobe: {}}": ["p.yaml:6: register.pobe: unknown key; did you mean 'probe'?"],
    HERE + ", weight: 0}": [
        (
            "p.yaml:6: register: has weight 0, which Consul does not take: use its maintenance for an instance without "
            "requests"
        )
    ],
    HERE + ", ttl: 500ms}": ["p.yaml:6: register.ttl: must be at least 1s, not 500ms"],
    HERE + ", ttl: 2d}": ["p.yaml:6: register.ttl: must be at most 1d, not 2d"],
    HERE + ", probe: {}}": ["p.yaml:6: register.probe: must have one of http, tcp and none"],
    HERE + ", probe: {tcp: true, none: true}}": ["p.yaml:6: register.probe: has tcp and none: keep one"],
    HERE + ", probe: {tcp: true, host: a, expect: 200}}": [
        "p.yaml:6: register.probe: has expect and host with tcp: leave out what only http probes have"
    ],
    HERE + ', id: "a\\nb"}': [
        r"p.yaml:6: register.id: must be one printable line of at most 512 characters, not 'a\nb'"
    ],
    HERE + ", address: '0.0.0.0'}": [
        "p.yaml:6: register.address: must be an address that others can connect to, not '0.0.0.0'"
    ],
    HERE + ", address: '10.0.0.1:80'}": [
        (
            "p.yaml:6: register.address: must be a host name or an IP address without a port, such as 10.0.0.5, "
            "not '10.0.0.1:80'"
        )
    ],
    "register: [{service: web, port: 80, consul: {token: a, token_file: b}}]": [
        "p.yaml:6: register[0].consul: has both token and token_file: keep one of them"
    ],
    "register: {service: web, port: 80, etcd: {password: a}}": [
        "p.yaml:6: register.etcd: has password without username: add it"
    ],
}


@pytest.mark.parametrize(("text", "errors"), MISTAKES.items())
def test_mistakes(text: str, errors: list[str]):
    assert errors_of(SMALL + text) == errors


def test_a_mistake_elsewhere_does_not_hide_one_here():
    found = errors_of(SMALL + "    balncer: random\nregister: {service: web, consul: {}, port: 80, probe: {}}")
    assert [line.partition(": ")[2].partition(":")[0] for line in found] == ["services.web.balncer", "register.probe"]


def test_a_unix_socket_has_no_port_to_register():
    text = SMALL.replace("':8080'", "'unix:/run/x.sock'")
    assert errors_of(text + "register: {service: web, consul: {}}") == [
        "p.yaml:6: register: must have a port, for the first listener is a unix socket and has none"
    ]
    assert config_of(text + HERE + "}").registered


@pytest.mark.parametrize("good", ["10.0.0.5", "fd00::5", "web-1.internal", "::1", "localhost"])
def test_addresses(good: str):
    assert parse_own_address(good) == good


@pytest.mark.parametrize(
    "bad", ["", "::", "0.0.0.0", "10.0.0.256", "a b", "http://a", "[::1]", "a:80", "[::1]:80", "*"]
)
def test_what_is_no_address(bad: str):
    with pytest.raises(ValueError, match="must be "):
        parse_own_address(bad)


def provider(text: str) -> Any:
    return parse(text, name="p.yaml", folder=FOLDER, environ={}, model=Provider)


def test_a_provider_needs_nothing_else():
    assert provider(HERE + "}").registered[0].port == 80
    assert provider(SMALL + HERE + "}").services.keys() == {"web"}


def test_a_provider_without_anything_to_register_is_a_mistake(tmp_path: Path):
    with pytest.raises(ConfigError, match="register: this key is required"):
        provider("log: {level: info}")
    file = tmp_path / "x.yaml"
    file.write_text(SMALL)
    with pytest.raises(ConfigError, match="register: this key is required"):
        load(file, model=Provider)


@pytest.mark.parametrize(
    ("text", "is_good"),
    [
        (HERE + "}", True),
        ("register: [{service: web, etcd: {}, probe: {http: /}}]", True),
        ("register: {service: web}", False),
        ("register: {service: web, consul: {}, etcd: {}}", False),
        ("register: []", False),
        (HERE + ", probe: {}}", False),
        (HERE + ", port: web}", False),
    ],
)
def test_the_schema(text: str, is_good: bool):
    assert Draft202012Validator(schema()).is_valid(yaml.safe_load(SMALL + text)) == is_good


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (HERE + "}", Provider),
        (SMALL + HERE + "}", Config),
        (SMALL, Config),
    ],
)
def test_a_file_that_only_registers_is_one_of_a_provider(text: str, kind: type):
    assert type(parse(text, name="p.yaml", folder=FOLDER, environ={}, model=None)) is kind


def test_a_file_that_lacks_something_is_none_of_a_provider():
    with pytest.raises(ConfigError, match="services: this key is required"):
        parse("listeners: [{bind: ':1'}]\n" + HERE + "}", name="p.yaml", folder=FOLDER, environ={}, model=None)
