"""What can be wrong with the keys of a registry, told in plain words."""

import pytest

from config.discovery import SOURCES_LISTED
from tests.config.reading import SMALL, errors_of


def discovered(how: str) -> str:
    """A configuration whose one service is found so."""
    return SMALL.replace("static: [10.0.0.1:80]", how)


MISTAKES = {
    SMALL.replace("[10.0.0.1:80]", "10.0.0.1:80"): [
        "p.yaml:5: services.web.discovery.static: must be a list, not '10.0.0.1:80'; write [10.0.0.1:80]"
    ],
    SMALL.replace("[10.0.0.1:80]", "[80]"): [
        (
            "p.yaml:5: services.web.discovery.static[0]: must be an address or a mapping, not 80; "
            "valid keys are: address, id, metadata, tags, weight, zone"
        )
    ],
    SMALL.replace("10.0.0.1:80", "{address: 10.0.0.1:80, zone: true}"): [
        (
            "p.yaml:5: services.web.discovery.static[0].zone: must be text, but YAML reads this as true or false; "
            "put it in quotes"
        )
    ],
    SMALL.replace("{static: [10.0.0.1:80]}", "{static: [], file: x.yaml}"): [
        f"p.yaml:5: services.web.discovery: has static and file: keep one of {SOURCES_LISTED}"
    ],
    SMALL.replace("{static: [10.0.0.1:80]}", "{}"): [
        f"p.yaml:5: services.web.discovery: must have one of {SOURCES_LISTED}"
    ],
    SMALL.replace("{static: [10.0.0.1:80]}", "{consul: {service: web, token: a, token_file: b}}"): [
        "p.yaml:5: services.web.discovery.consul: has both token and token_file: keep one of them"
    ],
    SMALL.replace("{static: [10.0.0.1:80]}", "{consul: {service: web, address: 127.0.0.1:8500}}"): [
        (
            "p.yaml:5: services.web.discovery.consul.address: must be the URL of a Consul agent such as "
            "http://127.0.0.1:8500 or https://consul.internal:8501, without a path, a query or a user name, "
            "not '127.0.0.1:8500'"
        )
    ],
    SMALL.replace("{static: [10.0.0.1:80]}", "{etcd: {prefix: /web, endpoints: http://h:1, password: a}}"): [
        (
            "p.yaml:5: services.web.discovery.etcd.prefix: "
            "must be what the keys begin with, and end in /, such as /services/web/, not '/web'"
        ),
        "p.yaml:5: services.web.discovery.etcd.endpoints: must be a list, not 'http://h:1'; write [http://h:1]",
        "p.yaml:5: services.web.discovery.etcd: has password without username: add it",
    ],
    SMALL.replace("{static: [10.0.0.1:80]}", "{etcd: {endpoints: [h:2379], timeout: 0s, username: '', pasword: a}}"): [
        "p.yaml:5: services.web.discovery.etcd.prefix: this key is required",
        (
            "p.yaml:5: services.web.discovery.etcd.endpoints[0]: must be the URL of an etcd member such as "
            "http://127.0.0.1:2379 or https://etcd1.internal:2379, without a path, a query or a user name, "
            "not 'h:2379'"
        ),
        "p.yaml:5: services.web.discovery.etcd.username: must not be empty",
        "p.yaml:5: services.web.discovery.etcd.timeout: must be more than 0s; this wait cannot be without an end",
        "p.yaml:5: services.web.discovery.etcd.pasword: unknown key; did you mean 'password'?",
        "p.yaml:5: services.web.discovery.etcd: has username alone: add password or password_file",
    ],
    SMALL.replace("{static: [10.0.0.1:80]}", "{etcd: {prefix: /, endpoints: []}}"): [
        (
            "p.yaml:5: services.web.discovery.etcd.prefix: "
            "must be what the keys begin with, and end in /, such as /services/web/, not '/'"
        ),
        "p.yaml:5: services.web.discovery.etcd.endpoints: must have at least one item",
    ],
    SMALL.replace("{static: [10.0.0.1:80]}", "{kubernetes: {namespace: Shop, port: 0, context: a, zone: ''}}"): [
        "p.yaml:5: services.web.discovery.kubernetes.service: this key is required",
        (
            "p.yaml:5: services.web.discovery.kubernetes.namespace: "
            "must be a name of 1 to 63 characters of a-z, 0-9 and '-', such as web, not 'Shop'"
        ),
        (
            "p.yaml:5: services.web.discovery.kubernetes.port: "
            "must be the name of a port such as http, or a number from 1 to 65535, not 0"
        ),
        "p.yaml:5: services.web.discovery.kubernetes.zone: must not be empty",
        "p.yaml:5: services.web.discovery.kubernetes: has context without kubeconfig: add it",
    ],
    SMALL.replace("{static: [10.0.0.1:80]}", "{kubernetes: {service: web, port: true, family: both, sevice: a}}"): [
        (
            "p.yaml:5: services.web.discovery.kubernetes.port: "
            "must be the name of a port such as http, or a number from 1 to 65535, not true"
        ),
        "p.yaml:5: services.web.discovery.kubernetes.family: must be auto, ipv4 or ipv6, not 'both'",
        "p.yaml:5: services.web.discovery.kubernetes.sevice: unknown key; did you mean 'service'?",
    ],
    SMALL.replace("[10.0.0.1:80]", "[10.0.0.1:80, {address: h:1}, 10.0.0.1:80]"): [
        "p.yaml:5: services.web.discovery.static[2]: must differ from item 0: both are 10.0.0.1:80"
    ],
    discovered("eureka: {app: A, vip: a, password: x, urls: http://h:1/eureka}"): [
        "p.yaml:5: services.web.discovery.eureka.urls: must be a list, not 'http://h:1/eureka'; write [http://h:1/eureka]",
        "p.yaml:5: services.web.discovery.eureka: has both app and vip: keep one of them",
        "p.yaml:5: services.web.discovery.eureka: has password without username: add it",
    ],
    discovered("eureka: {urls: [h:8761, 'http://me:secret@h/eureka', 'http://h/eureka?a=1'], ap: A}"): [
        *(
            (
                f"p.yaml:5: services.web.discovery.eureka.urls[{number}]: must be the URL of Eureka's API such as "
                "http://127.0.0.1:8761/eureka or http://127.0.0.1:8080/eureka/v2, without a query or a user name"
                + shown
            )
            for number, shown in enumerate([", not 'h:8761'", "", ", not 'http://h/eureka?a=1'"])
        ),
        "p.yaml:5: services.web.discovery.eureka.ap: unknown key; did you mean 'app'?",
        "p.yaml:5: services.web.discovery.eureka: must have one of app and vip",
    ],
    discovered("eureka: {vip: '', urls: [], interval: 10ms, timeout: 1ms, address: name, secure: maybe}"): [
        "p.yaml:5: services.web.discovery.eureka.vip: must not be empty",
        "p.yaml:5: services.web.discovery.eureka.urls: must have at least one item",
        "p.yaml:5: services.web.discovery.eureka.interval: must be at least 100ms, not 10ms",
        "p.yaml:5: services.web.discovery.eureka.timeout: must be at least 10ms, not 1ms",
        "p.yaml:5: services.web.discovery.eureka.secure: must be true or false, not 'maybe'",
        "p.yaml:5: services.web.discovery.eureka.address: must be ip or hostname, not 'name'",
    ],
    discovered("dns: {name: 10.0.0.1, port: 80}"): [
        (
            "p.yaml:5: services.web.discovery.dns.name: must be a whole domain name such as web.example.internal or "
            "_http._tcp.example.internal, not '10.0.0.1'"
        )
    ],
    discovered("dns: {name: web.internal}"): [
        "p.yaml:5: services.web.discovery.dns: must have a port, for addresses come without; only type srv needs none"
    ],
    discovered("dns: {name: web.internal, type: srv, port: 80}"): [
        "p.yaml:5: services.web.discovery.dns: has port with type srv: leave it out, for SRV records name the ports"
    ],
    discovered("dns: {name: web.internal, port: 80, type: mx}"): [
        "p.yaml:5: services.web.discovery.dns.type: must be both, a, aaaa or srv, not 'mx'"
    ],
    discovered("dns: {name: web.internal, port: 80, servers: [ns1:53, 10.0.0.2]}"): [
        (
            "p.yaml:5: services.web.discovery.dns.servers[0]: must be the IP address of a name server such as "
            "10.0.0.2, 10.0.0.2:5353 or [fd00::2]:53, not 'ns1:53'"
        )
    ],
    discovered("dns: {name: web.internal, port: 80, ttl_min: 10m}"): [
        "p.yaml:5: services.web.discovery.dns: must have a ttl_min of at most ttl_max, not 10m and 5m"
    ],
    discovered("dns: {name: web.internal, prot: 80, ttl_min: 1ms, ttl_max: 50ms}"): [
        "p.yaml:5: services.web.discovery.dns.ttl_min: must be at least 100ms, not 1ms",
        "p.yaml:5: services.web.discovery.dns.ttl_max: must be at least 100ms, not 50ms",
        "p.yaml:5: services.web.discovery.dns.prot: unknown key; did you mean 'port'?",
        "p.yaml:5: services.web.discovery.dns: must have a port, for addresses come without; only type srv needs none",
    ],
    discovered("http: {interval: 5s}"): ["p.yaml:5: services.web.discovery.http.url: this key is required"],
    discovered("http: {url: config.internal/targets.json}"): [
        (
            "p.yaml:5: services.web.discovery.http.url: must be the URL of a document such as "
            "http://config.internal/targets.json, without a user name or a '#', not 'config.internal/targets.json'"
        )
    ],
    discovered("http: {url: 'http://h/', token: a, token_file: b}"): [
        "p.yaml:5: services.web.discovery.http: has both token and token_file: keep one of them"
    ],
    discovered("http: {url: 'http://h/', token_file: b, headers: {authorization: Basic abc}}"): [
        "p.yaml:5: services.web.discovery.http: has token_file and a header Authorization: keep one of them"
    ],
    discovered("http: {url: 'http://h/', headers: {'X Key': a}}"): [
        (
            'p.yaml:5: services.web.discovery.http.headers["X Key"]: must be the name of a header such as X-Api-Key, '
            "not 'X Key'"
        )
    ],
    discovered("http: {url: 'http://h/', headers: {If-None-Match: a}}"): [
        (
            "p.yaml:5: services.web.discovery.http.headers.If-None-Match: must be left out: "
            "pointsman itself says what If-None-Match is"
        )
    ],
    discovered("http: {url: 'http://h/', headers: {X-Key: \"a\\nb\"}}"): [
        (
            "p.yaml:5: services.web.discovery.http.headers.X-Key: must be one line of ASCII characters, not empty, "
            "without a space at either end"
        )
    ],
    discovered("http: {url: 'http://h/', headers: {X-Key: 5}}"): [
        (
            "p.yaml:5: services.web.discovery.http.headers.X-Key: must be text, but YAML reads this as a number; "
            "put it in quotes"
        )
    ],
    discovered("docker: {}"): ["p.yaml:5: services.web.discovery.docker: must have service or labels, or both"],
    discovered("docker: {service: '', engine: docker.sock}"): [
        "p.yaml:5: services.web.discovery.docker.service: must not be empty",
        (
            "p.yaml:5: services.web.discovery.docker.engine: must be where a Docker Engine's API is, such as "
            "unix:///var/run/docker.sock, tcp://10.0.0.5:2375 or https://10.0.0.5:2376, with the port, "
            "not 'docker.sock'"
        ),
    ],
    discovered("docker: {labels: {a: b}, engine: 'tcp://me:secret@h:1'}"): [
        (
            "p.yaml:5: services.web.discovery.docker.engine: must be where a Docker Engine's API is, such as "
            "unix:///var/run/docker.sock, tcp://10.0.0.5:2375 or https://10.0.0.5:2376, with the port"
        )
    ],
    discovered("docker: {service: web, ca_file: ca.pem, key_file: key.pem}"): [
        (
            "p.yaml:5: services.web.discovery.docker: has ca_file and key_file with an engine that is not https://: "
            "leave out what only TLS has"
        )
    ],
    discovered("docker: {service: web, engine: 'https://h:2376', cert_file: c}"): [
        "p.yaml:5: services.web.discovery.docker: has cert_file alone: add key_file"
    ],
    discovered("docker: {service: web, address: host, host: 'h:1', prefix: pointsman}"): [
        (
            "p.yaml:5: services.web.discovery.docker.prefix: must be what the names of labels begin with, and end in "
            "a dot, not 'pointsman'"
        ),
        "p.yaml:5: services.web.discovery.docker.address: must be container or published, not 'host'",
        (
            "p.yaml:5: services.web.discovery.docker.host: must be a host name or an IP address without a port, "
            "not 'h:1'"
        ),
    ],
    discovered("swarm: {labels: {}, mode: dns, interval: 1ms, prot: 0}"): [
        "p.yaml:5: services.web.discovery.swarm.mode: must be tasks or vip, not 'dns'",
        "p.yaml:5: services.web.discovery.swarm.interval: must be at least 100ms, not 1ms",
        "p.yaml:5: services.web.discovery.swarm.prot: unknown key; did you mean 'port'?",
        "p.yaml:5: services.web.discovery.swarm: must have service or labels, or both",
    ],
    discovered("swarm: {service: web, labels: {a: 5}, engine: 'unix://rel'}"): [
        (
            "p.yaml:5: services.web.discovery.swarm.labels.a: must be text, but YAML reads this as a number; put it "
            "in quotes"
        ),
        (
            "p.yaml:5: services.web.discovery.swarm.engine: must be where a Docker Engine's API is, such as "
            "unix:///var/run/docker.sock, tcp://10.0.0.5:2375 or https://10.0.0.5:2376, with the port, "
            "not 'unix://rel'"
        ),
    ],
}


@pytest.mark.parametrize(("text", "errors"), MISTAKES.items())
def test_mistakes(text, errors):
    assert errors_of(text) == errors


@pytest.mark.parametrize("url", ["http://me:secret@h/", "http://h/?key=secret#there", "ftp://h/?key=secret"])
def test_neither_a_password_nor_a_key_in_the_url_of_a_document_is_shown_in_an_error(url):
    (error,) = errors_of(discovered(f"http: {{url: '{url}'}}"))
    assert error.endswith("without a user name or a '#'")
