"""The values that a user writes as text with a form: names, hosts, URLs and their paths, headers, a token.

Like those of units.py, the functions raise ValueError with a sentence that says what to write.
"""

import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit

from config.declaring import AfterValidator, Field, PlainSerializer, PlainValidator, SecretStr, WithJsonSchema
from config.units import Address, PathText, parse_address, show

NAME_SERVER_PORT = 53

_HOST_LABEL = "[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_ROUTE_HOST = re.compile(rf"(?:\*\.)?{_HOST_LABEL}(?:\.{_HOST_LABEL})*|\[[0-9a-f:.]+\]")
_URL_PATH = re.compile(r"/[!-~]*")  # visible ASCII
_NEVER_COMPARED = re.compile(r"//|\\|/\.\.?(?:/|$)")
_DNS_LABEL = "[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DNS_NAME = re.compile(rf"{_DNS_LABEL}(?:\.{_DNS_LABEL})*\.?")
_KUBERNETES_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")  # of a Service or a namespace: RFC 1123
_LONGEST_DNS_NAME = 253  # characters, without the dot at the end (RFC 1035, section 2.3.4)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # a token (RFC 9110, section 5.6.2)
_HEADER_VALUE = re.compile(r"[!-~](?:[ \t!-~]*[!-~])?")

# What a request for a document has of its own: its framing, its connection, its validators, what it can read.
_OWN_HEADERS = {
    "accept-encoding", "connection", "content-length", "expect", "if-modified-since", "if-none-match", "keep-alive",
    "te", "trailer", "transfer-encoding", "upgrade", "x-prometheus-refresh-interval-seconds",
}  # fmt: skip


def _service_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,128}", name):
        raise ValueError(f"must be a name of 1 to 128 letters, digits, '.', '_' or '-', not {show(name)}")
    return name


def parse_route_host(host: str) -> str:
    """Read the host of a route, in lower case; raise ValueError with what to write instead."""
    host = host.lower()
    if not _ROUTE_HOST.fullmatch(host):
        raise ValueError(
            f"must be a host name such as shop.example.com or *.example.com, without a port, not {show(host)}"
        )
    return host


def _route_path(path: str) -> str:
    if not _URL_PATH.fullmatch(path) or "?" in path or "#" in path:
        raise ValueError(
            f"must begin with / and hold no spaces, '?', '#' or unescaped special characters, not {show(path)}"
        )
    if path.endswith("/*"):
        raise ValueError(f"must be written without *, since {path[:-2] or '/'} takes everything below it too")
    if _NEVER_COMPARED.search(path):
        raise ValueError("must be written without '//', '/./', '/../' and a backslash: no path is compared with those")
    return path


def _probe_path(path: str) -> str:
    if not _URL_PATH.fullmatch(path) or "#" in path:
        raise ValueError(
            f"must be a path such as /healthz, which begins with / and holds no spaces or '#', not {show(path)}"
        )
    return path


def _probe_host(host: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:\[\]-]*", host):
        raise ValueError(f"must be a host name such as web.internal, not {show(host)}")
    return host


def _mesos_url(url: str) -> str:
    return _plain_url(url, "a Mesos master such as http://127.0.0.1:5050 or https://mesos1.internal:5050")


def _marathon_url(url: str) -> str:
    return _plain_url(url, "Marathon such as http://127.0.0.1:8080 or https://marathon.internal:8443")


def _marathon_app(app: str) -> str:
    if not re.fullmatch(r"(/[a-z0-9]([a-z0-9.-]*[a-z0-9])?)+", app):
        raise ValueError(f"must be the whole ID of an app, such as /shop/web, not {show(app)}")
    return app


def _consul_url(url: str) -> str:
    return _plain_url(url, "a Consul agent such as http://127.0.0.1:8500 or https://consul.internal:8501")


def _etcd_url(url: str) -> str:
    return _plain_url(url, "an etcd member such as http://127.0.0.1:2379 or https://etcd1.internal:2379")


def _engine_url(url: str) -> str:
    if url.startswith("unix://"):
        fits = url.startswith("unix:///") and len(url) > len("unix:///") and url.isprintable()
    else:
        try:
            parts = urlsplit(url)
            fits = parts.scheme in ("tcp", "http", "https") and bool(parts.hostname) and bool(parts.port)
        except ValueError:
            fits = False
        else:
            fits = fits and parts.path in ("", "/") and not (parts.query or parts.fragment) and "@" not in parts.netloc
        fits = fits and _visible(url)
    if not fits:
        raise ValueError(
            "must be where a Docker Engine's API is, such as unix:///var/run/docker.sock, tcp://10.0.0.5:2375 or "
            "https://10.0.0.5:2376, with the port" + ("" if "@" in url else f", not {show(url)}")  # no passwords
        )
    return url if url.startswith("unix://") else url.removesuffix("/")


def _label_prefix(prefix: str) -> str:
    if not re.fullmatch(r"[!-~]{1,100}\.", prefix):
        raise ValueError(f"must be what the names of labels begin with, and end in a dot, not {show(prefix)}")
    return prefix


def _plain_host(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,253}", host):
        raise ValueError(f"must be a host name or an IP address without a port, not {show(host)}")
    return host


def _plain_url(url: str, examples: str) -> str:
    """Refuse what is no HTTP URL of a server, or is more than that."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    else:
        fits = fits and parts.path in ("", "/") and not (parts.query or parts.fragment) and "@" not in parts.netloc
    if not fits or not _visible(url):
        raise ValueError(
            f"must be the URL of {examples}, "
            "without a path, a query or a user name" + ("" if "@" in url else f", not {show(url)}")  # no passwords
        )
    return url.removesuffix("/")


def _document_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    else:
        fits = fits and not parts.fragment and "@" not in parts.netloc
    if not fits or not _visible(url):
        raise ValueError(
            "must be the URL of a document such as http://config.internal/targets.json, without a user name or a '#'"
            + ("" if "@" in url or "?" in url else f", not {show(url)}")  # no passwords, and no keys in a query
        )
    return url


def _eureka_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    else:
        fits = fits and not (parts.query or parts.fragment) and "@" not in parts.netloc
    if not fits or not _visible(url):
        raise ValueError(
            "must be the URL of Eureka's API such as http://127.0.0.1:8761/eureka or http://127.0.0.1:8080/eureka/v2, "
            "without a query or a user name" + ("" if "@" in url else f", not {show(url)}")  # no passwords
        )
    return url.rstrip("/")


def _dns_name(name: str) -> str:
    numeric = name.rstrip(".").rpartition(".")[2].isdecimal()  # an address; no top-level domain is a number
    if numeric or not _DNS_NAME.fullmatch(name) or len(name.rstrip(".")) > _LONGEST_DNS_NAME:
        raise ValueError(
            f"must be a whole domain name such as web.example.internal or _http._tcp.example.internal, not {show(name)}"
        )
    return name


def parse_name_server(value: object) -> Address:
    """Read the IP address of a name server, alone or with a port."""
    if isinstance(value, Address):
        return value
    wrong = (
        f"must be the IP address of a name server such as 10.0.0.2, 10.0.0.2:5353 or [fd00::2]:53, not {show(value)}"
    )
    if not isinstance(value, str):
        raise ValueError(wrong)
    try:
        return Address(str(ipaddress.ip_address(value)), NAME_SERVER_PORT)
    except ValueError:
        pass
    try:
        address = parse_address(value)
        ipaddress.ip_address(address.host)
    except ValueError:
        raise ValueError(wrong) from None
    return address


def _header_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"must be the name of a header such as X-Api-Key, not {show(name)}")
    if name.lower() in _OWN_HEADERS:
        raise ValueError(f"must be left out: pointsman itself says what {name} is")
    return name


def _header_value(value: SecretStr) -> SecretStr:
    if not _HEADER_VALUE.fullmatch(value.get_secret_value()):  # it is not shown: it may be a key
        raise ValueError("must be one line of ASCII characters, not empty, without a space at either end")
    return value


def _cookie_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(
            f"must be the name of a cookie such as session, without spaces or special characters, not {show(name)}"
        )
    return name


def _cookie_path(path: str) -> str:
    if not re.fullmatch(r"/[!-:<-~]*", path):  # visible ASCII without ;
        raise ValueError(f"must begin with / and hold no spaces, ';' or special characters, not {show(path)}")
    return path


def _cookie_domain(domain: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.-]*", domain):
        raise ValueError(f"must be a domain such as example.com, not {show(domain)}")
    return domain


def _token(token: SecretStr) -> SecretStr:
    if not token.get_secret_value():
        raise ValueError(
            "must not be empty: set the variable that it is taken from, or leave token out to ask without one"
        )
    if not _visible(token.get_secret_value()):  # the value is not shown: errors end up in logs
        raise ValueError("must be a token without spaces, line breaks or special characters")
    return token


def _etcd_prefix(prefix: str) -> str:
    # Without the mark at its end, /services/web would take the keys of /services/web-admin/ too.
    if not prefix.endswith("/") or not prefix.strip("/") or not prefix.isprintable():
        raise ValueError(f"must be what the keys begin with, and end in /, such as /services/web/, not {show(prefix)}")
    return prefix


def _kubernetes_name(name: str) -> str:
    if not _KUBERNETES_NAME.fullmatch(name):
        raise ValueError(f"must be a name of 1 to 63 characters of a-z, 0-9 and '-', such as web, not {show(name)}")
    return name


def _password(password: SecretStr) -> SecretStr:
    if not password.get_secret_value():
        raise ValueError("must not be empty: set the variable that it is taken from")
    return password


def _visible(text: str) -> bool:
    return re.fullmatch("[!-~]+", text) is not None


def _not_empty(text: str) -> str:
    if not text:
        raise ValueError("must not be empty")
    return text


NotEmpty = Annotated[str, AfterValidator(_not_empty)]
ServiceName = Annotated[
    str,
    AfterValidator(_service_name),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"}),
]
RouteHost = Annotated[str, AfterValidator(parse_route_host)]
RoutePath = Annotated[str, AfterValidator(_route_path)]
ProbePath = Annotated[str, AfterValidator(_probe_path)]
ProbeHost = Annotated[str, AfterValidator(_probe_host)]
ConsulUrl = Annotated[str, AfterValidator(_consul_url)]
EngineUrl = Annotated[
    str,
    AfterValidator(_engine_url),
    WithJsonSchema({"type": "string", "minLength": 1, "examples": ["unix:///var/run/docker.sock"]}),
]
LabelPrefix = Annotated[str, AfterValidator(_label_prefix)]
PlainHost = Annotated[str, AfterValidator(_plain_host)]
DocumentUrl = Annotated[str, AfterValidator(_document_url)]
DnsName = Annotated[str, AfterValidator(_dns_name)]
NameServer = Annotated[
    Address,
    PlainValidator(parse_name_server),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "minLength": 1, "examples": ["10.0.0.2", "10.0.0.2:5353", "[fd00::2]:53"]}),
]
HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[SecretStr, AfterValidator(_header_value)]
CookieName = Annotated[str, AfterValidator(_cookie_name)]
CookiePath = Annotated[str, AfterValidator(_cookie_path)]
CookieDomain = Annotated[str, AfterValidator(_cookie_domain)]
Token = Annotated[SecretStr, AfterValidator(_token)]
MesosUrl = Annotated[str, AfterValidator(_mesos_url)]
MarathonUrl = Annotated[str, AfterValidator(_marathon_url)]
MarathonApp = Annotated[
    str, AfterValidator(_marathon_app), WithJsonSchema({"type": "string", "pattern": "^/", "examples": ["/shop/web"]})
]
EtcdUrl = Annotated[str, AfterValidator(_etcd_url)]
EurekaUrl = Annotated[str, AfterValidator(_eureka_url)]
EtcdPrefix = Annotated[
    str,
    AfterValidator(_etcd_prefix),
    WithJsonSchema({"type": "string", "pattern": "/$", "examples": ["/services/web/"]}),
]
KubernetesName = Annotated[
    str,
    AfterValidator(_kubernetes_name),
    WithJsonSchema({"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}),
]
Password = Annotated[SecretStr, AfterValidator(_password)]
LoginPassword = Annotated[
    Password | None,
    Field(description="The user's password. Write ${NAME} to take it from the environment."),
]
PasswordFile = Annotated[
    PathText | None,
    Field(
        description="A file that holds the password, instead of password. A relative path starts at this file's folder."
    ),
]
