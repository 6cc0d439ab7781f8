"""The keys of rules for headers: what is taken out of a request or a response, and what is put in."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

from config.declaring import AfterValidator, Field, WithJsonSchema
from config.errors import listed
from config.frozen import FrozenMapping, Model, Rule
from config.units import show

MARK = "X-Pointsman-Mirror"  # marks the copies that a mirror is sent
IN_REQUESTS = ("client", "host", "method", "path", "request_id", "scheme", "service")
IN_RESPONSES = (*IN_REQUESTS, "endpoint")

_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}"  # RFC 9110, section 5.6.2
_VALUE = re.compile(r"[!-~](?:[ \t!-~]*[!-~])?")
_LONGEST_VALUE = 4096  # characters
_PIECES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?)(?::[0-9]{1,5})?")

# The framing of a message and what is meant for one hop alone: a rule on these would let two readers of one message
# disagree on where it ends.
_OF_THE_HOP = (
    "connection", "content-length", "http2-settings", "keep-alive", "proxy-authenticate", "proxy-authorization",
    "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
)  # fmt: skip
_OURS_IN_REQUESTS = {
    "expect": "",
    "max-forwards": "",
    "via": "",
    "x-request-id": ": see request_id, or give it another name",
    MARK.lower(): "",
    "client-cert": "",
    "client-cert-chain": "",
    "x-client-cert": "",  # and all that begin so
}
# Of these an instance takes the one that is there: two would be two truths.
_ONCE_IN_REQUESTS = ("forwarded", "host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")


def _plain(name: str) -> str:
    """Return a name as those read it who cannot tell `_` from `-`."""
    return name.lower().replace("_", "-")


def _name(name: str) -> str:
    if not re.fullmatch(_TOKEN, name):
        raise ValueError(f"must be the name of a header such as X-Team, not {show(name)}")
    if _plain(name) in _OF_THE_HOP:
        raise ValueError(f"must be another header: {name} belongs to the connection, and pointsman alone writes it")
    return name


def _set_name(name: str) -> str:
    if name.endswith("*"):
        raise ValueError(f"must be a whole name, not {show(name)}: only remove takes what ends in *")
    return _name(name)


def _request_name(name: str) -> str:
    name = _name(name)
    plain = _plain(name)
    if plain in _OURS_IN_REQUESTS or plain.startswith("x-client-cert-"):
        raise ValueError(
            f"must be another header: pointsman itself says what {name} is{_OURS_IN_REQUESTS.get(plain, '')}"
        )
    if plain != name.lower() and plain in _ONCE_IN_REQUESTS:
        raise ValueError(f"must be written with '-': many applications take {name} for another one")
    return name


def _request_set_name(name: str) -> str:
    return _request_name(_set_name(name))


def _request_add_name(name: str) -> str:
    if name.lower() in _ONCE_IN_REQUESTS:
        raise ValueError(f"must be under set, since {name} is there once")
    return _request_set_name(name)


def _removed(name: str, check: Callable[[str], str], kept: Iterable[str]) -> str:
    if not name.endswith("*"):
        return check(name)
    start = name[:-1]
    if not re.fullmatch(_TOKEN, start) or "*" in start:
        raise ValueError(
            f"must be the name of a header, or the beginning of names and *, such as X-Debug-*, not {show(name)}"
        )
    taken = next((one for one in kept if one.startswith(_plain(start))), None)
    if taken is not None:
        raise ValueError(f"must be longer: {name} would take {taken} out too, which pointsman alone writes")
    return name


def _request_removed(name: str) -> str:
    if name.lower() == "host":
        raise ValueError("must be left out: a request has a Host; set it to another one")
    return _removed(name, _request_name, (*_OF_THE_HOP, *_OURS_IN_REQUESTS, "host"))


def _response_removed(name: str) -> str:
    return _removed(name, _name, _OF_THE_HOP)


def pieces_of(value: str) -> tuple[str | tuple[str], ...]:
    """Split a value into texts and placeholders, which are tuples of their name; raise ValueError for a lone brace."""
    pieces: list[str | tuple[str]] = []
    at = 0
    for found in _PIECES.finditer(value):
        pieces.append(value[at : found.start()])
        at = found.end()
        if found[1] is not None:
            pieces.append((found[1],))
        elif len(found[0]) == 2:
            pieces.append(found[0][0])
        else:
            raise ValueError("must have {{ for {, and }} for }")
    return tuple(piece for piece in (*pieces, value[at:]) if piece)


def _value(value: str, known: tuple[str, ...]) -> str:
    if not _VALUE.fullmatch(value) or len(value) > _LONGEST_VALUE:
        raise ValueError(
            "must be one line of ASCII characters, not empty, without a space at either end, of at most "
            f"{_LONGEST_VALUE} characters, not {show(value)}"
        )
    for piece in pieces_of(value):
        if isinstance(piece, tuple) and piece[0] not in known:
            shown = listed([f"{{{name}}}" for name in known])
            raise ValueError(f"has {{{piece[0]}}}, which is none of {shown}; write {{{{ for a {{")
    return value


def _in_request(value: str) -> str:
    return _value(value, IN_REQUESTS)


def _in_response(value: str) -> str:
    return _value(value, IN_RESPONSES)


def each_once(given: Mapping[str, Any]) -> str | None:
    """Want a header to be set or removed, not both, and none to be there twice in other letters."""
    seen: dict[str, str] = {}
    for key in ("set", "remove"):
        names = given.get(key)
        for name in names if isinstance(names, Mapping | list | tuple) else ():
            before = seen.setdefault(str(name).lower(), key)
            if before != key:
                return f"has {name} under both set and remove: keep one; set replaces what is there"
    for key in ("set", "add"):
        names = [str(name) for name in given[key]] if isinstance(given.get(key), Mapping) else []
        twice = next((name for place, name in enumerate(names) if name.lower() in map(str.lower, names[:place])), None)
        if twice is not None:
            return f"has {twice} twice under {key}, in other letters: keep one"
    return None


def whole_host(given: Mapping[str, Any]) -> str | None:
    """Want the Host of requests to be one."""
    changed = given.get("set")
    for name, value in changed.items() if isinstance(changed, Mapping) else ():
        if str(name).lower() == "host" and isinstance(value, str) and not _HOST.fullmatch(value):
            return f"has a Host that is none: write a host name, alone or with a port, not {show(value)}"
    return None


_PATTERN = WithJsonSchema({"type": "string", "pattern": f"^{_TOKEN}$"})
_REMOVED = "Headers that are taken out: names, and beginnings of names such as X-Debug-*."


class RequestHeaders(Model):
    """What becomes of the headers of requests on their way to an instance."""

    rules = (each_once, whole_host)

    set: FrozenMapping[
        Annotated[str, AfterValidator(_request_set_name)], Annotated[str, AfterValidator(_in_request)]
    ] = Field(
        default_factory=dict,
        validate_default=True,
        description=f"Headers by name, with a value that takes the place of all there are. {listed(IN_REQUESTS)}, in "
        "braces, stand for what they say. Host is what the instance is asked for.",
    )
    add: FrozenMapping[
        Annotated[str, AfterValidator(_request_add_name)], Annotated[str, AfterValidator(_in_request)]
    ] = Field(
        default_factory=dict, validate_default=True, description="Headers that come beside those there are, as in set."
    )
    remove: tuple[Annotated[str, AfterValidator(_request_removed), _PATTERN], ...] = Field(
        default=(), description=_REMOVED
    )


class ResponseHeaders(Model):
    """What becomes of the headers of responses on their way to a client."""

    rules = (each_once,)

    set: FrozenMapping[Annotated[str, AfterValidator(_set_name)], Annotated[str, AfterValidator(_in_response)]] = Field(
        default_factory=dict,
        validate_default=True,
        description=f"Headers by name, with a value that takes the place of all there are. {listed(IN_RESPONSES)}, in "
        "braces, stand for what they say.",
    )
    add: FrozenMapping[Annotated[str, AfterValidator(_set_name)], Annotated[str, AfterValidator(_in_response)]] = Field(
        default_factory=dict, validate_default=True, description="Headers that come beside those there are, as in set."
    )
    remove: tuple[Annotated[str, AfterValidator(_response_removed), _PATTERN], ...] = Field(
        default=(), description=_REMOVED
    )


HEADER_RULES: tuple[tuple[str, tuple[Rule, ...]], ...] = (
    ("request_headers", RequestHeaders.rules),
    ("response_headers", ResponseHeaders.rules),
)


class HasHeaderRules(Model):
    """What has rules for headers: a listener, a route, a service."""

    request_headers: RequestHeaders = Field(
        default=RequestHeaders(),
        description="What becomes of the headers of requests: those of the listener first, then the route's, then the "
        "service's.",
    )
    response_headers: ResponseHeaders = Field(
        default=ResponseHeaders(),
        description="What becomes of the headers of responses: those of the service first, then the route's, then the "
        "listener's, which hold for our own answers too.",
    )
