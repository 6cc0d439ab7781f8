import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from config.registries.zookeeper import ZooKeeper, one_endpoint
from config.schema import schema
from config.source import read
from config.units import Address
from proxy.registries import make
from tests.config.reading import FOLDER, SMALL, config_of, errors_of


def written(text):
    return SMALL.replace("{static: [10.0.0.1:80]}", f"{{zookeeper: {{{text}}}}}")


def keys(text, **environ):
    (source,) = config_of(written(text), **environ).services["web"].sources
    assert source.kind == "zookeeper"
    assert source.zookeeper is not None
    return source.zookeeper


def test_the_path_alone_will_do():
    zookeeper = keys("path: /services/web")
    assert zookeeper == ZooKeeper(path="/services/web", layout="curator", hosts=(Address("127.0.0.1", 2181),))
    assert (zookeeper.session_timeout, zookeeper.timeout, zookeeper.username) == (10.0, 5.0, None)


def test_every_key():
    zookeeper = keys(
        "path: /web, layout: serverset, endpoint: http, hosts: [zk1, 'zk2:2182', '[fd00::1]', '[fd00::2]:1'], "
        "username: me, password_file: secret, session_timeout: 30s, timeout: 1s"
    )
    assert [str(host) for host in zookeeper.hosts] == ["zk1:2181", "zk2:2182", "[fd00::1]:2181", "[fd00::2]:1"]
    assert (zookeeper.layout, zookeeper.endpoint) == ("serverset", "http")
    assert (zookeeper.username, zookeeper.password_file) == ("me", FOLDER / "secret")
    assert (zookeeper.session_timeout, zookeeper.timeout) == (30.0, 1.0)


def test_the_registry_that_is_made_of_it():
    (source,) = config_of(written("path: /services/web, layout: nerve")).services["web"].sources
    registry, name = make("web", source)
    assert (type(registry).__name__, name) == ("ZooKeeperRegistry", "/services/web")


def test_a_password_is_a_secret():
    text = written("path: /web, username: me, password: hidden")
    assert "hidden" not in repr(config_of(text))
    assert "hidden" not in str(config_of(text).model_dump(mode="json"))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("hosts: [zk1]", "zookeeper.path: this key is required"),
        ("path: web", "zookeeper.path: must be the whole path of a node, such as /services/web, and not end in /, not"),
        ("path: /web/", "zookeeper.path: must be the whole path"),
        ("path: /", "zookeeper.path: must be the whole path"),
        ("path: /a//b", "zookeeper.path: must be the whole path"),
        ("path: /a/../b", "zookeeper.path: must be the whole path"),
        ("path: /web, layout: eureka", "zookeeper.layout: must be curator, serverset or nerve, not 'eureka'"),
        ("path: /web, hosts: zk1", "zookeeper.hosts: must be a list, not 'zk1'"),
        ("path: /web, hosts: []", "zookeeper.hosts: must have at least one item"),
        ("path: /web, hosts: ['zk1:2181/chroot']", "zookeeper.hosts[0]: must be an address such as"),
        ("path: /web, hosts: ['']", "zookeeper.hosts[0]: must be an address such as"),
        ("path: /web, hosts: ['zk1:0']", "zookeeper.hosts[0]: must have a port from 1 to 65535"),
        ("path: /web, hosts: [5]", "zookeeper.hosts[0]: must be an address such as"),
        (
            "path: /web, endpoint: http",
            "zookeeper: has endpoint with layout curator: leave it out, for only",
        ),
        ("path: /web, layout: nerve, endpoint: http", "zookeeper: has endpoint with layout nerve: leave it out"),
        ("path: /web, username: me", "zookeeper: has username alone: add password or password_file"),
        ("path: /web, password: a", "zookeeper: has password without username: add it"),
        ("path: /web, username: 'm:e', password: a", "zookeeper.username: must be without a colon"),
        ("path: /web, session_timeout: 500ms", "zookeeper.session_timeout: must be at least 1s, not 500ms"),
        ("path: /web, session_timeout: 2m", "zookeeper.session_timeout: must be at most 1m, not 2m"),
        ("path: /web, timeout: 0s", "zookeeper.timeout: must be more than 0s"),
        ("path: /web, layuot: nerve", "zookeeper.layuot: unknown key; did you mean 'layout'?"),
    ],
)
def test_mistakes(text, error):
    assert any(f"services.web.discovery.{error}" in found for found in errors_of(written(text)))


def test_a_layout_that_is_not_known_yet_is_not_judged():
    assert one_endpoint({"layout": "${LAYOUT}", "endpoint": "http"}) is None


def test_the_schema_takes_what_is_right_and_refuses_what_is_not():
    validator = Draft202012Validator(schema())
    for text, fits in (("path: /web, hosts: [zk1]", True), ("path: web", False), ("layout: nerve", False)):
        assert validator.is_valid(read(written(text), name="p", environ={}).data) == fits


def test_a_model_made_in_code_obeys_too():
    with pytest.raises(ValidationError, match="has endpoint with layout curator"):
        ZooKeeper(path="/web", endpoint="http")
