"""The keys of what a route answers by itself: a redirect, or an answer that is always the same."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from config.declaring import AfterValidator, Field
from config.expressions import PathTemplate
from config.frozen import FrozenMapping, Model
from config.texts import parse_route_host
from config.units import Int, Port, show

LONGEST_BODY = 65536  # bytes

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # a token (RFC 9110, section 5.6.2)
_VALUE = re.compile(r"[!-~](?:[ \t!-~]*[!-~])?")
_OURS = {
    "connection", "content-length", "date", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
    "x-request-id",
}  # fmt: skip
_BODILESS = (204, 205, 304)  # RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5


def somewhere_else(given: Mapping[str, Any]) -> str | None:
    """Want a redirect to lead away from where it was asked for."""
    if any(given.get(key) is not None for key in ("scheme", "host", "port", "path")):
        return None
    return "must have scheme, host, port or path: it would lead back to where it came from"


def no_body_where_none_can_be(given: Mapping[str, Any]) -> str | None:
    """Want no content where HTTP has none, and a content type only beside some."""
    status = given.get("status", 200)
    if status in _BODILESS and (given.get("body") or "content_type" in given):
        return f"has a body with the status {status}, which has none: leave body and content_type out"
    return None


def _redirect_host(host: str) -> str:
    host = parse_route_host(host)
    if host.startswith("*"):
        raise ValueError(f"must be one host name such as www.example.com, not {show(host)}")
    return host


def _header_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"must be the name of a header such as Retry-After, not {show(name)}")
    if name.lower() in _OURS:
        raise ValueError(f"must be left out: pointsman itself says what {name} is")
    if name.lower() == "content-type":
        raise ValueError("must be left out: write it as content_type")
    return name


def _header_value(value: str) -> str:
    if not _VALUE.fullmatch(value):
        raise ValueError(
            f"must be one line of ASCII characters, not empty, without a space at either end, not {show(value)}"
        )
    return value


def _body(text: str) -> str:
    if len(text.encode("utf-8", "surrogatepass")) > LONGEST_BODY:
        raise ValueError(f"must be at most {LONGEST_BODY} bytes")
    return text


class Redirect(Model):
    """Send a client elsewhere. What is left out stays as the client asked for it; the query always stays."""

    rules = (somewhere_else,)

    scheme: Literal["http", "https"] | None = Field(
        default=None,
        description="http or https. With it, the port is that scheme's own unless port says otherwise; and a request "
        "that came by this scheme, and for which nothing else would change, goes on to the next routes.",
    )
    host: Annotated[str, AfterValidator(_redirect_host)] | None = Field(default=None, description="The host.")
    port: Port | None = Field(default=None, description="The port.")
    path: PathTemplate | None = Field(
        default=None,
        description=r"The whole path. \1 to \9 and \g<name> are what the groups of path_regex matched, \0 all of it.",
    )
    status: Literal[301, 302, 303, 307, 308] = Field(
        default=302,
        description="301 and 308 are for good, and browsers keep them; 307 and 308 keep the method and the body.",
    )


class FixedAnswer(Model):
    """An answer that is always the same, such as that the house is closed."""

    rules = (no_body_where_none_can_be,)

    status: Annotated[Int, Field(ge=200, le=599)] = Field(default=200, description="The status, 200 to 599.")
    body: Annotated[str, AfterValidator(_body)] = Field(
        default="", description=f"The content, in UTF-8, at most {LONGEST_BODY} bytes."
    )
    content_type: Annotated[str, AfterValidator(_header_value)] = Field(
        default="text/plain; charset=utf-8", description="What the content is, where there is some."
    )
    headers: FrozenMapping[
        Annotated[str, AfterValidator(_header_name)], Annotated[str, AfterValidator(_header_value)]
    ] = Field(default_factory=dict, validate_default=True, description="More headers, such as Retry-After.")
