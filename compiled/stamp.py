"""What a build was made from: a binary is only as good as the sources that it was built from."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent  # the folder that the packages are in
BUILT = Path(__file__).resolve().parent / "built"
_NAME = "stamp.json"
_LIBRARIES = ("uvloop", "httptools")  # whose objects compiled code is handed


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a build was made from, and what it came to.

    `sources` are the digests of the modules built and of ours that they import, by their paths; `files` are those of
    what was built, by their names.
    """

    abi: str
    sources: dict[str, str]
    files: dict[str, str]

    def write(self, folder: Path) -> None:
        """Put it beside what was built."""
        (folder / _NAME).write_text(json.dumps(asdict(self), indent=1))


def read(folder: Path) -> Stamp:
    """Read the stamp of a build. Raises FileNotFoundError where nothing was built, and ValueError for nonsense."""
    found = json.loads((folder / _NAME).read_bytes())
    try:
        return Stamp(str(found["abi"]), dict(found["sources"]), dict(found["files"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{_NAME} makes no sense: {error!r}") from None


def abi() -> str:
    """Say what a build is made for: Python, the machine, and the versions of the libraries."""
    parts = [sys.implementation.cache_tag or "", platform.python_version(), platform.machine(), sys.platform]
    for library in _LIBRARIES:
        try:
            parts.append(f"{library} {version(library)}")
        except PackageNotFoundError:
            parts.append(f"no {library}")
    return ", ".join(parts)


def digest(path: Path) -> str:
    """Return the digest of a file. Raises OSError."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def why_unfit(stamp: Stamp, folder: Path, root: Path = ROOT) -> str:
    """Say why a build cannot be used here and now; "" when it can. Costs some 10 ms."""
    here = abi()
    if stamp.abi != here:
        return f"it was built for {stamp.abi}, and this is {here}"
    for name, built_from in stamp.sources.items():
        if _digest(root / name) != built_from:
            return f"{name} is not what it was built from"
    for name, whole in stamp.files.items():
        if _digest(folder / name) != whole:
            return f"{name} is damaged or missing"
    return ""


def _digest(path: Path) -> str:
    try:
        return digest(path)
    except OSError:
        return ""
