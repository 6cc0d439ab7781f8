"""The way through: a file in, a Config out, or one ConfigError with every problem that could be found."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from config import references
from config.declaring import ValidationError
from config.errors import ConfigError, Problem
from config.explain import explain
from config.model import Config
from config.provider import model_of
from config.source import read
from config.units import LARGEST_FILE, show

Check = Callable[[Mapping[str, Any]], Iterable[Problem]]
CheckOfAll = Callable[[Config], Iterable[Problem]]


def load(
    path: Path,
    *,
    environ: Mapping[str, str] = os.environ,
    checks: Sequence[Check] = (),
    model: type[Config] | None = Config,
    last: CheckOfAll | None = None,
) -> Config:
    """Read the configuration file at `path`; relative paths in it start at its folder.

    `checks` are asked about the plain data, whatever else is wrong with it, such as whether its balancers exist.
    `model` is what the whole must be: a Config, or one that may lack some of its keys. None: a Provider if it says what
    to register and nothing of listeners, routes and services, else a Config. `last` is asked about the whole if nothing
    else is wrong with it.
    Raises ConfigError with everything that is wrong.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigError(str(path), [Problem((), f"cannot be read: {error.strerror or error}")]) from error
    if len(raw) > LARGEST_FILE:
        raise ConfigError(str(path), [Problem((), f"larger than {LARGEST_FILE // 2**20} MiB")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(str(path), [Problem((), "not UTF-8; save the file in that encoding", line=line)]) from None
    return parse(
        text, name=str(path), folder=path.absolute().parent, environ=environ, checks=checks, model=model, last=last
    )


def parse(
    text: str,
    *,
    name: str,
    folder: Path,
    environ: Mapping[str, str] = os.environ,
    checks: Sequence[Check] = (),
    model: type[Config] | None = Config,
    last: CheckOfAll | None = None,
) -> Config:
    """Read a configuration from text; errors call it `name`, relative paths in it start at `folder`.

    Raises ConfigError with everything that is wrong.
    """
    source = read(text, name=name, environ=environ)
    problems = list(source.problems)
    if source.data is None and not problems:
        raise ConfigError(name, [Problem((), "empty; a configuration has at least listeners, routes and services")])
    if not isinstance(source.data, dict):
        message = f"must be a mapping with the keys listeners, routes and services, not {show(source.data)}"
        raise ConfigError(name, [*problems, Problem((), message, line=1)])
    config = None
    try:
        config = (model or model_of(source.data)).model_validate(source.data, context={"folder": folder})
    except ValidationError as error:
        problems += explain(error, source.unresolved)
    problems += references.check(source.data, source.unresolved)
    for check in checks:
        problems += check(source.data)
    if last is not None and config is not None and not problems:
        problems += last(config)
    if config is None or problems:
        raise ConfigError(name, problems, source.lines)
    return config
