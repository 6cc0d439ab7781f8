import pytest
import yaml
from pydantic import SecretStr

from config.registries.dns import Dns
from config.registries.docker import Docker
from config.registries.eureka import Eureka
from config.registries.http import Http
from config.registries.kubernetes import Kubernetes
from config.registries.swarm import Swarm
from config.units import Address
from tests.config.reading import FOLDER, SMALL, config_of, errors_of


def discovery(how, **environ):
    return config_of(SMALL.replace("static: [10.0.0.1:80]", how), **environ).services["web"].sources[0]


def test_dns():
    wanted = "{name: _http._tcp.web.internal., type: srv, servers: [10.0.0.2, '[fd00::2]:5353'], ttl_min: 500ms}"
    assert discovery(f"dns: {wanted}").dns == Dns(
        name="_http._tcp.web.internal.",
        type="srv",
        servers=(Address("10.0.0.2", 53), Address("fd00::2", 5353)),
        ttl_min=0.5,
        ttl_max=300.0,
        timeout=2.0,
    )


def test_kubernetes():
    wanted = "{service: web, namespace: shop, port: 8080, kubeconfig: k, context: c, family: ipv6, zone: auto}"
    assert discovery(f"kubernetes: {wanted}").kubernetes == Kubernetes(
        service="web",
        namespace="shop",
        port=8080,
        kubeconfig=FOLDER / "k",
        context="c",
        family="ipv6",
        zone="auto",
        timeout=5.0,
    )
    short = discovery("kubernetes: {service: web, port: http}").kubernetes
    assert short is not None
    assert (short.port, short.namespace, short.kubeconfig, short.zone) == ("http", None, None, None)
    assert short.family == "auto"
    quoted = discovery("kubernetes: {service: web, port: '${PORT}'}", PORT="8080").kubernetes
    assert quoted is not None
    assert quoted.port == 8080


def test_http():
    wanted = "{url: 'https://h/t.json?a=1', interval: 1m, headers: {X-Key: \"${KEY}\"}, token_file: t}"
    assert discovery(f"http: {wanted}", KEY="a key").http == Http(
        url="https://h/t.json?a=1",
        interval=60.0,
        timeout=5.0,
        headers={"X-Key": SecretStr("a key")},
        token_file=FOLDER / "t",
    )


def test_eureka():
    wanted = (
        "{vip: web, urls: ['http://a:1/eureka/', 'https://b/eureka/v2/'], interval: 1s, timeout: 2s, secure: true, "
        'address: hostname, username: me, password: "${PASSWORD}"}'
    )
    assert discovery(f"eureka: {wanted}", PASSWORD="a word").eureka == Eureka(
        vip="web",
        urls=("http://a:1/eureka", "https://b/eureka/v2"),
        interval=1.0,
        timeout=2.0,
        secure=True,
        address="hostname",
        username="me",
        password=SecretStr("a word"),
    )
    short = discovery("eureka: {app: WEB, username: me, password_file: secret}").eureka
    assert (short.urls, short.interval, short.timeout) == (("http://127.0.0.1:8761/eureka",), 5.0, 5.0)
    assert (short.secure, short.address, short.password_file) == (False, "ip", FOLDER / "secret")


def test_docker():
    wanted = "{labels: {a: b, c: ''}, engine: 'https://h:1/', ca_file: ca, address: published, host: '::1', port: 80}"
    assert discovery(f"docker: {wanted}").docker == Docker(
        labels={"a": "b", "c": ""},
        engine="https://h:1",
        ca_file=FOLDER / "ca",
        address="published",
        host="::1",
        port=80,
    )
    assert discovery("docker: {service: web}").docker == Docker(
        service="web", engine="unix:///var/run/docker.sock", address="container", prefix="pointsman.", timeout=5.0
    )


def test_swarm():
    wanted = "{service: web, mode: vip, network: backend, prefix: lb., interval: 1s, timeout: 1s}"
    assert discovery(f"swarm: {wanted}").swarm == Swarm(
        service="web", mode="vip", network="backend", prefix="lb.", interval=1.0, timeout=1.0
    )
    assert discovery("swarm: {service: web}").swarm == Swarm(service="web", mode="tasks", interval=5.0)


@pytest.mark.parametrize("name", ["web", "web.", "a-1.b_2", "_http._tcp.x", "a" * 63 + ".b", "10.0.0.1.example"])
def test_domain_names(name):
    assert Dns(name=name, port=80).name == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "a..b", ".a", "-a", "a-", "a b", "a/b", "ä.b", "a" * 64, "a." * 127 + "b", "10.0.0.1", "::1", "*.a"],
)
def test_what_is_no_domain_name(name):
    with pytest.raises(ValueError, match="must be a whole domain name"):
        Dns(name=name, port=80)


@pytest.mark.parametrize(
    "server", ["10.0.0.2:0", "10.0.0.256", "ns1", "ns1:53", "::1:99999", "10.0.0.2:", "", 53, "*:53"]
)
def test_what_is_no_name_server(server):
    with pytest.raises(ValueError, match="must be the IP address of a name server"):
        Dns.model_validate({"name": "web.internal", "port": 80, "servers": [server]})


def test_the_values_of_headers_are_secrets():
    how = "http: {url: 'http://h/', headers: {X-Key: hidden}}"
    config = config_of(SMALL.replace("static: [10.0.0.1:80]", how))
    dumped = config.model_dump(mode="json", exclude_none=True)
    assert "hidden" not in str(dumped)
    assert "hidden" not in repr(config)
    dumped["services"]["web"]["discovery"]["http"]["headers"]["X-Key"] = "hidden"
    assert config_of(yaml.safe_dump(dumped)) == config


def test_several_datacenters_of_consul():
    assert discovery("consul: {service: web, datacenters: [dc1, dc2]}").consul.datacenters == ("dc1", "dc2")


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("{datacenters: [dc1], datacenter: dc2}", "has both datacenter and datacenters: keep one of them"),
        ("{datacenters: [dc1, dc2, dc1]}", "must name each of its datacenters once"),
        ("{datacenters: ['']}", "must not be empty"),
        ("{max_age: 5s}", "has max_age without cached: true: add it, or leave max_age out"),
        ("{max_age: 5s, cached: false}", "has max_age without cached: true"),
    ],
)
def test_which_keys_of_consul_go_together(how, error):
    text = SMALL.replace("static: [10.0.0.1:80]", f"consul: {how.replace('{', '{service: web, ')}")
    assert any(error in found for found in errors_of(text))


def test_the_cache_of_consul():
    found = discovery("consul: {service: web, cached: true, max_age: 30s, connections: 0}").consul
    assert (found.cached, found.max_age, found.connections) == (True, 30.0, 0)
    assert discovery("consul: {service: web, max_age: 0}").consul.max_age == 0.0
