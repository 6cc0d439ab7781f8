"""The files that a configuration refers to: keys, passwords, certificates, which are read when parts are made."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config.errors import KeyPath
from config.frozen import Model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config.model import Config

LARGEST = 2**20  # bytes of a file that are looked at
_MOST = 1000  # files

# The path and the digest of each such file, by the place of the key that names it.
Files = dict[KeyPath, tuple[str, str]]

# Keys whose path is for us to write to, or read each time.
_NOT_READ = ("access_log", "state_dir", "registry", "acme", "takeover")


def files_of(config: Config) -> dict[KeyPath, Path]:
    """Return the paths that a configuration names and that somebody reads who does not follow them by himself."""
    found: dict[KeyPath, Path] = {}
    for place, path in _paths(config, ()):
        if place[0] not in _NOT_READ and not _is_followed(place) and len(found) < _MOST:
            found[place] = path
    return found


def _is_followed(place: KeyPath) -> bool:
    """Tell whether a file is followed by whoever reads it: instances in files, users, certificates."""
    if place[0] in ("listeners", "routes", "acme"):
        return True
    return place[0] in ("services", "catalogs") and (
        "tls" in place[2:4] or (place[-1] == "file" and "discovery" in place)
    )


def digests(paths: Mapping[KeyPath, Path]) -> Files:
    """Read the files; one that cannot be read has the digest "". Waits for the disk."""
    return {place: (str(path), _digest(path)) for place, path in paths.items()}


def _paths(value: Any, place: KeyPath) -> Iterator[tuple[KeyPath, Path]]:
    match value:
        case Path():
            yield place, value
        case Model():
            for name, field in type(value).model_fields.items():
                yield from _paths(getattr(value, name), (*place, field.alias or name))
        case Mapping():
            for key, item in value.items():
                yield from _paths(item, (*place, str(key)))
        case tuple():
            for number, item in enumerate(value):
                yield from _paths(item, (*place, number))


def _digest(path: Path) -> str:
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return ""
            return sha256(file.read(LARGEST)).hexdigest()
    except OSError:
        return ""
