"""The values that a user writes as text with a form: names, hosts, URL paths, the URL of an agent, a token.

Like those of units.py, the functions raise ValueError with a sentence that says what to write.
"""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr, WithJsonSchema

from config.units import show

_HOST_LABEL = "[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_ROUTE_HOST = re.compile(rf"(?:\*\.)?{_HOST_LABEL}(?:\.{_HOST_LABEL})*|\[[0-9a-f:.]+\]")
_URL_PATH = re.compile(r"/[!-~]*")  # visible ASCII


def _service_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,128}", name):
        raise ValueError(f"must be a name of 1 to 128 letters, digits, '.', '_' or '-', not {show(name)}")
    return name


def _route_host(host: str) -> str:
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


def _consul_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    else:
        fits = fits and parts.path in ("", "/") and not (parts.query or parts.fragment) and "@" not in parts.netloc
    if not fits or not _visible(url):
        raise ValueError(
            "must be the URL of a Consul agent such as http://127.0.0.1:8500 or https://consul.internal:8501, "
            "without a path, a query or a user name" + ("" if "@" in url else f", not {show(url)}")  # no passwords
        )
    return url.removesuffix("/")


def _consul_token(token: SecretStr) -> SecretStr:
    if not token.get_secret_value():
        raise ValueError(
            "must not be empty: set the variable that it is taken from, or leave token out to ask without one"
        )
    if not _visible(token.get_secret_value()):  # the value is not shown: errors end up in logs
        raise ValueError("must be a token without spaces, line breaks or special characters")
    return token


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
RouteHost = Annotated[str, AfterValidator(_route_host)]
RoutePath = Annotated[str, AfterValidator(_route_path)]
ProbePath = Annotated[str, AfterValidator(_probe_path)]
ProbeHost = Annotated[str, AfterValidator(_probe_host)]
ConsulUrl = Annotated[str, AfterValidator(_consul_url)]
Token = Annotated[SecretStr, AfterValidator(_consul_token)]
