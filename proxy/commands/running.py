"""The way into the event loop and out of it again, with an exit status.

0 fine, 1 failed while running, 2 bad usage or configuration, 3 an address cannot be bound.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
import uvloop

from config.declaring import CAN_READ
from config.errors import ConfigError
from config.model import Config
from config.units import format_duration, parse_duration
from discovery.registry import RegistryError
from proxy import reading
from proxy.assemble.listeners import AccessLogError
from proxy.config_file import ConfigFile, UnreadableError
from proxy.edge.users_file import UsersFileError
from proxy.settings import StickyKeyError
from proxy.sockets import BindError
from proxy.takeover.failing import TakeoverError
from proxy.threads import PassingThreads
from proxy.tls.acme.renewals import AcmeError
from proxy.tls.pair import CertificateError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from config.load import CheckOfAll
    from proxy.config_file import Loaded

FAILED, BAD_USAGE, CANNOT_BIND = 1, 2, 3

FILE = click.Path(dir_okay=False, path_type=Path)


def waiting(least: float = 0.0) -> Callable[[click.Context, click.Parameter, str], float]:
    """Make the callback of an option that says how long to wait (`500ms`, `1m30s`, `5`): it gives seconds."""

    def read(ctx: click.Context, param: click.Parameter, value: str) -> float:
        try:
            seconds = parse_duration(value)
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from error
        if seconds < least:
            raise click.BadParameter(f"must be at least {format_duration(least)}, not {value}", ctx, param)
        return seconds

    return read


_log = logging.getLogger(__name__)


def run_to_end(work: Coroutine[object, object, int]) -> NoReturn:
    """Run until the work is done, and end the process with its exit status, or that of its error."""
    sys.exit(status_of(work))


def load_config(file: Path, model: type[Config] | None = Config, last: CheckOfAll | None = None) -> Config:
    """Read a configuration file, or end the process with what is wrong; for `model` and `last` see config.load."""
    from config.load import load
    from proxy.assemble.checks import CHECKS

    try:
        return load(file, checks=CHECKS, model=model, last=last)
    except ConfigError as error:
        end_with(str(error))


def read_config(file: Path) -> Loaded:
    """Read a configuration file that will be read again, or end the process with what is wrong with it."""
    try:
        return ConfigFile(file).load()
    except UnreadableError as error:
        end_with(str(error))


def config_of(written: dict[str, Any], model: type[Config] = Config) -> Config:
    """Build the configuration that the options of the command line stand for, or end the process."""
    # JSON is YAML; what was given on the command line stands for itself, and for no variable of the environment.
    text = json.dumps(written, ensure_ascii=False).replace("${", "$${")
    try:
        if not CAN_READ:
            return reading.read_text(text, "command line")
        from config.load import parse
        from proxy.assemble.checks import CHECKS

        return parse(text, name="command line", folder=Path.cwd(), environ={}, checks=CHECKS, model=model)
    except ConfigError as error:
        # There is no file whose lines would help.
        end_with("\n".join(f"command line: {problem}" for problem in error.problems))


def end_with(text: str, status: int = BAD_USAGE) -> NoReturn:
    """Say why, and end the process."""
    click.echo(text, err=True)
    sys.exit(status)


def status_of(work: Coroutine[object, object, int]) -> int:
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.get_loop().set_default_executor(PassingThreads())
            return runner.run(work)
    except BindError as error:
        click.echo(f"pointsman: {error}", err=True)
        return CANNOT_BIND
    except (
        RegistryError, AccessLogError, AcmeError, CertificateError, StickyKeyError, UsersFileError, TakeoverError
    ) as error:  # fmt: skip
        click.echo(f"pointsman: {error}", err=True)
        return FAILED
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        # Whoever read our output has seen enough; what is left in the buffer must not complain at the very end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:  # a traceback would explain nothing
            click.echo(f"pointsman: cannot write: {error.strerror}", err=True)
            return FAILED
        _log.exception("pointsman failed")
        click.echo(f"pointsman: {type(error).__name__}: {error}", err=True)
        return FAILED
