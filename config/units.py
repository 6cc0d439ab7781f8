"""The values that a user writes as one word: durations, sizes, shares, addresses, paths.

Each is a pydantic type with a JSON schema of its own and one function that reads it. The functions raise ValueError
with a sentence that says what to write; it follows the key's path, as in `timeouts.connect: must be a duration …`.
"""

import ipaddress
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, TypeGuard

from config.declaring import AfterValidator, Field, PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema

LONGEST = 365 * 86400.0  # seconds; anything longer is a slip of the pen, and some timers overflow
LARGEST_FILE = 4 * 2**20  # bytes of a configuration: ten times what thousands of services take
SHOWN = 60  # characters of a wrong value that an error repeats
LONGEST_WORD = 1000  # characters of a number; Python refuses to read many more digits than that
UNIX_PATH_MAX = 107  # bytes; sockaddr_un holds 108 with the closing NUL (unix(7))

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_DURATION_PATTERN = "".join(f"(?:({_NUMBER}){unit})?" for unit in ("d", "h", "m", "s", "ms"))
_DURATION = re.compile(_DURATION_PATTERN)
_DURATION_UNITS = (Decimal(86400), Decimal(3600), Decimal(60), Decimal(1), Decimal("0.001"))
_SIZE_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SIZE = re.compile("([0-9]+)([A-Za-z]*)")
_SHARE = re.compile(f"({_NUMBER})(%?)")
_HOST_PORT = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*):([0-9]{1,5})")
_HOST_NAME = re.compile(
    r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)*"
)


def show(value: object) -> str:
    """Write a wrong value the way its author would know it again, and no longer than a line bears."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
    return short(repr(value))


def short(text: str) -> str:
    """Cut what is longer than an error should repeat."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _is_word(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and len(value) <= LONGEST_WORD


def is_number(value: object) -> bool:
    """Tell whether `value` is a number; True and False are none here."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def parse_duration(value: object) -> float:
    """Read `500ms`, `5s`, `1m30s`, `2h`, `1d`, or a number of seconds; return seconds."""
    seconds: float | Decimal | None = None
    if is_number(value):
        seconds = value  # type: ignore[assignment]  # mypy cannot see through is_number
    elif _is_word(value) and re.fullmatch(_NUMBER, value):
        seconds = Decimal(value)
    elif _is_word(value) and value and (found := _DURATION.fullmatch(value)):
        parts = zip(found.groups(), _DURATION_UNITS, strict=True)
        seconds = sum((Decimal(number) * unit for number, unit in parts if number), Decimal(0))
    if seconds is None or (isinstance(seconds, float) and math.isnan(seconds)):
        raise ValueError(f"must be a duration such as 500ms, 5s, 1m30s or 2h, not {show(value)}")
    if seconds < 0:
        raise ValueError(f"must be a duration of 0s or more, such as 500ms, 5s or 1m30s, not {show(value)}")
    if seconds > LONGEST:
        raise ValueError(f"must be a duration of at most 365d, not {show(value)}")
    return float(seconds)


def format_duration(seconds: float) -> str:
    """Write seconds as `parse_duration` reads them, exactly."""
    exact = Decimal(repr(float(seconds)))
    if 0 < exact < 1:
        return f"{exact * 1000:f}".rstrip("0").rstrip(".") + "ms"
    if exact != int(exact):
        return f"{exact:f}s"
    whole, text = int(exact), ""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, whole = divmod(whole, length)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def parse_size(value: object) -> int:
    """Read `64KiB`, `1MiB`, `10MB`, or a number of bytes; return bytes."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if _is_word(value) and (found := _SIZE.fullmatch(value)) and found[2] in _SIZE_UNITS:
        return int(found[1]) * _SIZE_UNITS[found[2]]
    raise ValueError(
        f"must be a size such as 512B, 64KiB or 1MiB (units: B, KB, MB, GB, KiB, MiB, GiB), not {show(value)}"
    )


def format_size(size: int) -> str:
    """Write bytes as `parse_size` reads them, in the largest unit that keeps the number whole."""
    for unit in ("GiB", "MiB", "KiB"):
        if size and size % _SIZE_UNITS[unit] == 0:
            return f"{size // _SIZE_UNITS[unit]}{unit}"
    return f"{size}B"


def parse_share(value: object) -> float:
    """Read `50%` or `0.5`; return a float from 0 to 1."""
    if _is_word(value) and (found := _SHARE.fullmatch(value)):
        number, percent = float(found[1]), bool(found[2])
    elif is_number(value):
        number, percent = value, False  # type: ignore[assignment]  # mypy cannot see through is_number
    else:
        raise ValueError(f"must be a share such as 50% or 0.5, not {show(value)}")
    if percent and number <= 100:
        return number / 100
    if not percent and 0 <= number <= 1:
        return float(number)
    if not percent and 1 < number <= 100:
        raise ValueError(f"must be a share from 0 to 1, or a percentage: write {number:g}% if that is meant")
    raise ValueError(f"must be a share from 0% to 100% (0 to 1), not {show(value)}")


def format_share(share: float) -> str:
    """Write a share as a percentage where that is exact, else as the number itself."""
    percent = format(Decimal(f"{share * 100:g}"), "f") + "%"
    return percent if parse_share(percent) == share else format(Decimal(repr(float(share))), "f")


@dataclass(frozen=True, slots=True)
class Address:
    """Where an instance listens; `host` is a name, an IPv4 address, or an IPv6 address without brackets.

    For a unix socket it is `unix:` and its path, and the port is 0.
    """

    host: str
    port: int

    def __str__(self) -> str:
        if self.host.startswith("unix:"):
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Bind:
    """Where we listen: a TCP host and port, or the path of a unix socket.

    `host` is empty for all addresses of the machine; port 0 lets the system choose one. With a `path`, both are unused.
    """

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(value: object) -> Address:
    """Read `host:port` or `[ipv6]:port`."""
    if isinstance(value, Address):
        return value
    host, port = _host_and_port(value, "10.0.0.5:8080, app1.internal:8080 or [fd00::5]:8080")
    if not host:
        raise ValueError(f"must name a host before the port, as in 10.0.0.5:{port}, not {show(value)}")
    if not port:
        raise ValueError(f"must have a port from 1 to 65535, not {show(value)}")
    return Address(host, port)


def parse_instance_address(value: object) -> Address:
    """Read what `parse_address` reads, or `unix:/path`."""
    if isinstance(value, Address):
        return value
    if isinstance(value, str) and value.startswith("unix:"):
        return Address(f"unix:{_unix_path(value)}", 0)
    return parse_address(value)


def _unix_path(value: str) -> str:
    path = value.removeprefix("unix:")
    if not path.startswith("/") or "\0" in path or len(path.encode(errors="replace")) > UNIX_PATH_MAX:
        raise ValueError(
            f"must be unix: and an absolute path of at most {UNIX_PATH_MAX} bytes, "
            f"such as unix:/run/pointsman.sock, not {show(value)}"
        )
    return path


def parse_bind(value: object) -> Bind:
    """Read `host:port`, `[ipv6]:port`, `:port` for all addresses, or `unix:/path`."""
    if isinstance(value, Bind):
        return value
    if isinstance(value, str) and value.startswith("unix:"):
        return Bind(path=_unix_path(value))
    return Bind(*_host_and_port(value, "127.0.0.1:8080, [::1]:8080, :8080 or unix:/run/pointsman.sock"))


def parse_tcp_bind(value: object) -> Bind:
    """Read what `parse_bind` reads, but for unix sockets."""
    bind = parse_bind(value)
    if bind.path:
        raise ValueError(
            "must be host:port such as 127.0.0.1:8500, since Consul's clients do not know unix sockets, "
            f"not {show(value)}"
        )
    return bind


def _host_and_port(value: object, examples: str) -> tuple[str, int]:
    wrong = f"must be an address such as {examples}, not {show(value)}"
    if not isinstance(value, str):
        raise ValueError(wrong)
    found = _HOST_PORT.fullmatch(value)
    if found is None:
        if "://" in value:
            wrong += "; leave the scheme out"
        elif value.count(":") > 1 and "[" not in value:
            wrong += "; an IPv6 address needs brackets"
        elif ":" not in value:
            wrong += "; the port is missing"
        raise ValueError(wrong)
    host, port = found[1], int(found[2])
    if port > 65535:
        raise ValueError(f"must have a port of at most 65535, not {show(value)}")
    return _host(host, wrong), port


def _host(host: str, wrong: str) -> str:
    try:
        if host.startswith("["):
            return str(ipaddress.IPv6Address(host[1:-1]))
        # A name may not end in a number (URL standard, "ends in a number"): 10.0.0.256 is a mistyped address.
        if host and host.rpartition(".")[2].isdecimal():
            return str(ipaddress.IPv4Address(host))
    except ValueError as error:
        raise ValueError(f"{wrong}; {short(str(error))}") from None
    if host == "*":
        raise ValueError(f"{wrong}; all addresses are written without a host, as in :8080")
    if host and not _HOST_NAME.fullmatch(host):
        raise ValueError(wrong)
    return host


def parse_path(value: object, info: ValidationInfo) -> Path:
    """Read a path; a relative one starts at the folder of the configuration file (context key `folder`)."""
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError(f"must be the path of a file or folder, not {show(value)}")
    folder: Path = (info.context or {}).get("folder") or Path.cwd()
    return folder / value


def at_least(least: Any, form: Callable[[Any], str]) -> AfterValidator:
    """Refuse what is below `least`, which `form` writes out."""

    def check(value: Any) -> Any:
        if value < least:
            raise ValueError(f"must be at least {form(least)}, not {short(form(value))}")
        return value

    return AfterValidator(check)


def at_most(most: Any, form: Callable[[Any], str]) -> AfterValidator:
    """Refuse what is above `most`, which `form` writes out."""

    def check(value: Any) -> Any:
        if value > most:
            raise ValueError(f"must be at most {form(most)}, not {short(form(value))}")
        return value

    return AfterValidator(check)


def _positive(seconds: float) -> float:
    if seconds <= 0:
        raise ValueError("must be more than 0s; this wait cannot be without an end")
    return seconds


def _text_or_number(pattern: str, number: str, examples: list[str | float]) -> WithJsonSchema:
    texts = {"type": "string", "pattern": f"^(?:{pattern})$"}
    return WithJsonSchema({"anyOf": [texts, {"type": number, "minimum": 0}], "examples": examples})


Int = Annotated[int, Field(strict=True)]
Bool = Annotated[bool, Field(strict=True)]
Port = Annotated[Int, Field(ge=1, le=65535)]
Duration = Annotated[
    float,
    PlainValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    # The look-ahead keeps the empty text out: every part of a duration is optional.
    _text_or_number(f"(?=.){_DURATION_PATTERN}|{_NUMBER}", "number", ["500ms", "5s", "1m30s", "2h"]),
]
PositiveDuration = Annotated[Duration, AfterValidator(_positive)]
Size = Annotated[
    int,
    PlainValidator(parse_size),
    PlainSerializer(format_size, return_type=str),
    _text_or_number("[0-9]+(?:B|KB|MB|GB|KiB|MiB|GiB)?", "integer", ["512B", "64KiB", "1MiB"]),
]
Share = Annotated[
    float,
    PlainValidator(parse_share),
    PlainSerializer(format_share, return_type=str),
    _text_or_number(f"{_NUMBER}%?", "number", ["50%", 0.5]),
]
BindText = Annotated[
    Bind,
    PlainValidator(parse_bind),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(?:unix:/.+|(?:\[[^\[\]]+\]|[^\[\]:]*):[0-9]{1,5})$",
            "examples": ["127.0.0.1:8080", "[::1]:8080", ":8080", "unix:/run/pointsman.sock"],
        }
    ),
]
TcpBindText = Annotated[
    Bind,
    PlainValidator(parse_tcp_bind),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(?:\[[^\[\]]+\]|[^\[\]:]*):[0-9]{1,5}$",
            "examples": ["127.0.0.1:8500", "[::1]:8500", ":8500"],
        }
    ),
]
AddressText = Annotated[
    Address,
    PlainValidator(parse_instance_address),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(?:unix:/.+|(?:\[[^\[\]]+\]|[^\[\]:]+):[0-9]{1,5})$",
            "examples": ["10.0.0.5:8080", "app1.internal:8080", "[fd00::5]:8080", "unix:/run/app.sock"],
        }
    ),
]
PathText = Annotated[
    Path,
    PlainValidator(parse_path),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "minLength": 1}),
]
