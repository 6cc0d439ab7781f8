"""The process that reads a configuration for another: see reading.py."""

from __future__ import annotations

import io
import os
import pickle
import select
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from config.declaring import SecretStr, secret
from config.errors import ConfigError
from config.frozen import Model
from config.load import parse
from proxy.assemble.checks import CHECKS
from proxy.config_file import ConfigFile, Loaded, UnreadableError
from proxy.reading import receive, send


def answer_all() -> None:
    """Read a file, or a text and its name, and write what it has become to the standard output; then the next one.

    Ends when whoever asks has ended, or has not asked for as long as was said.
    """
    out = os.dup(1)
    os.dup2(2, 1)  # whatever a registry or a balancer of somebody else's prints does not belong in the answer
    with suppress(EOFError, BrokenPipeError), open(out, "wb") as file:
        while True:
            asked, stays = cast("tuple[Path | tuple[str, str], float]", receive(sys.stdin.buffer))
            send(file, pickled(_read(asked)))
            if not select.select([sys.stdin], (), (), stays)[0]:
                return


def _read(asked: Path | tuple[str, str]) -> object:
    try:
        if isinstance(asked, Path):
            return ConfigFile(asked).load()
        text, name = asked
        return parse(text, name=name, folder=Path.cwd(), environ={}, checks=CHECKS)
    except (ConfigError, UnreadableError) as error:
        return error


def pickled(found: object) -> bytes:
    """Write what was read, so that it can be used without pydantic."""
    _tell(found.config if isinstance(found, Loaded) else found)
    out = io.BytesIO()
    _Pickler(out, protocol=pickle.HIGHEST_PROTOCOL).dump(found)
    return out.getvalue()


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: object) -> Any:
        if isinstance(value, SecretStr):
            return secret, (value.get_secret_value(),)  # of which both sides have a class of their own
        return NotImplemented


def _tell(value: object) -> None:
    """Have all models compute what they can with pydantic only: see config/without_pydantic.py."""
    match value:
        case Model():
            for kind in type(value).__mro__:
                for name, of_kind in vars(kind).items():
                    if isinstance(of_kind, cached_property):
                        getattr(value, name)
            for _, part in value:
                _tell(part)
        case Mapping():
            for part in value.values():
                _tell(part)
        case tuple():
            for part in value:
                _tell(part)
