"""The configuration file as it lies on the disk: read as a whole, and looked at for changes."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Self

from config.declaring import CAN_READ
from config.errors import ConfigError, Problem
from config.units import LARGEST_FILE
from proxy import reading
from proxy.referred import digests, files_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from config.model import Config
    from proxy.referred import Files

# What tells one content of a path from another without reading it: its inode, size and time; None: there is none.
Look = tuple[tuple[int, int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration as it was read, with what the files held that it refers to.

    `digest` stands for its text and for those files, `text_hash` for its text alone.
    """

    config: Config
    files: Files
    digest: str
    text_hash: str


class UnreadableError(Exception):
    """A configuration has mistakes; `digest` stands for what was read, so that nobody tries the same again."""

    def __init__(self, error: ConfigError, digest: str) -> None:
        super().__init__(str(error))
        self.error = error
        self.digest = digest

    def __reduce__(self) -> tuple[type[Self], tuple[ConfigError, str]]:
        return type(self), (self.error, self.digest)


class ConfigFile:
    """The file at `path`, which `load` makes a configuration of. All methods wait for the disk."""

    def __init__(self, path: Path, read: Callable[[Path], Config] | None = None) -> None:
        self.path = path
        self._read = read or _read_here

    def load(self, *, stay: bool = False) -> Loaded:
        """Read the file, and those that it refers to; for `stay` see reading.py. Raises UnreadableError."""
        if not CAN_READ:
            try:
                return reading.read_file(self.path, stay=stay)
            except ConfigError as error:
                raise UnreadableError(error, "") from error
        text = self._text()
        try:
            if _is_endless(self.path):
                raise ConfigError(str(self.path), [Problem((), "cannot be read: not a file")])
            config = self._read(self.path)
        except ConfigError as error:
            raise UnreadableError(error, _digest_of(text, {})) from error
        files = digests(files_of(config))
        return Loaded(config, files, _digest_of(text, files), sha256(text).hexdigest()[:16])

    def look(self, besides: Iterable[str]) -> Look:
        """Look at the file, and at others, without reading them. Where a link leads counts, not the link."""
        return tuple(_look(path) for path in (str(self.path), *besides))

    def digest(self, files: Files) -> str:
        """Return the digest of what it and the files hold that an earlier reading of it referred to."""
        return _digest_of(self._text(), digests({place: Path(path) for place, (path, _) in files.items()}))

    def _text(self) -> bytes:
        try:
            if _is_endless(self.path):
                return b""
            with self.path.open("rb") as file:
                return file.read(LARGEST_FILE + 1)
        except OSError:
            return b""


def _read_here(path: Path) -> Config:
    from config.load import load
    from proxy.assemble.checks import CHECKS

    return load(path, checks=CHECKS)


def _is_endless(path: Path) -> bool:
    """Tell whether somebody who reads there may wait for ever: at a pipe, a device or a socket."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _digest_of(text: bytes, files: Files) -> str:
    whole = sha256(text)
    for place, (path, digest) in sorted(files.items(), key=str):
        whole.update(f"{place} {path} {digest}\n".encode())
    return whole.hexdigest()


def _look(path: str) -> tuple[int, int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
