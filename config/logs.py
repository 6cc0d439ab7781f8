"""What pointsman writes down: its own log, and a line for each request in the access log."""

import re
from pathlib import Path
from typing import Annotated, Literal

from config.declaring import AfterValidator, Field, PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema
from config.errors import suggest
from config.frozen import Model
from config.texts import NotEmpty
from config.units import Share, Size, at_least, at_most, format_size, parse_path, show

STREAMS = ("stdout", "stderr")
NAMED_FORMATS = ("json", "clf", "combined")


class Log(Model):
    """What is logged, and how it looks."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="The least that is logged.")
    format: Literal["json", "text"] = Field(
        default="json", description="json: one JSON object a line, for machines; text: for people."
    )


def _log_path(value: object, info: ValidationInfo) -> Path | str:
    if isinstance(value, str) and value in STREAMS:
        return value
    return parse_path(value, info)


def _line_format(text: str) -> str:
    if text in NAMED_FORMATS:
        return text
    if not re.search(r"\{[^{}]+\}", text):
        near = suggest(text, NAMED_FORMATS, "")
        hint = f"; {near}" if near.startswith("did you mean") else ""
        raise ValueError(
            f"must be json, clf, combined, or a template with at least one {{field}}, not {show(text)}{hint}"
        )
    if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", text):
        raise ValueError("must be one line, without line breaks or other control characters")
    return text


def _lower(name: str) -> str:
    return name.lower()


LogPath = Annotated[
    Path | str,
    PlainValidator(_log_path),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "minLength": 1}),
]
LineFormat = Annotated[str, AfterValidator(_line_format)]
WrittenBuffer = Annotated[Size, at_least(2**10, format_size), at_most(2**30, format_size)]


class AccessLog(Model):
    """The access log: a line for each request, written when its response has ended."""

    path: LogPath = Field(
        default="stdout",
        description="Where the lines go: stdout, stderr or a file. A relative path starts at this file's folder.",
    )
    format: LineFormat = Field(
        default="json",
        description="How a line looks: json, clf (the Common Log Format), combined (clf with Referer and User-Agent), "
        "or a template, any text with at least one {field}.",
    )
    sample: Share = Field(
        default=1.0,
        description="The share of the requests that went well of which a line is written; of those that failed one "
        "always is; 0% to 100%.",
    )
    redact: tuple[Annotated[NotEmpty, AfterValidator(_lower)], ...] = Field(
        default=(
            "authorization", "cookie", "set-cookie", "proxy-authorization", "x-api-key", "token", "access_token",
            "refresh_token", "id_token", "password", "passwd", "secret", "client_secret", "api_key", "apikey", "key",
            "signature", "sig", "code",
        ),
        description="The names, in any case, of query parameters and headers whose values are never written. A list "
        "here takes the place of the default one.",
    )  # fmt: skip
    buffer: WrittenBuffer = Field(
        default=2**20,
        description="How much may wait to be written, 1KiB to 1GiB. Lines beyond it are dropped, and counted.",
    )
