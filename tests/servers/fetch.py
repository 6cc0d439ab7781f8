"""Fetch programs out of Debian packages into the user's cache folder, without touching the system's apt."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SOURCES = Path("/etc/apt")

# `#clear` drops hooks that the system runs after an update, which have no business with a private one. As root, apt
# would fetch as the user _apt, who may not read root's cache folder.
APT_CONF = """\
#clear APT::Update;
#clear APT::Default-Release;
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "20";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::Lists "{folder}/lists";
Dir::Cache "{folder}/cache";
"""


class UnavailableError(Exception):
    """A server that a test asks for cannot be had on this machine; the text says why."""


def cache_folder() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "pointsman" / "tests"


def debian_package(name: str, suite: str, *libraries: str) -> Path:
    """Return the folder that the package is unpacked in, after fetching it if it is not there yet.

    `libraries` are packages that it needs and a system may lack, unpacked into the same folder.
    Two runs may ask at once: the second waits for the first. What is there was renamed into place whole.
    """
    root = cache_folder() / "debian" / suite / name
    if root.is_dir():
        return root
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        with open(root.parent / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not root.is_dir():
                _fetch([name, *libraries], suite, root)
    except OSError as error:
        raise UnavailableError(f"the cache folder cannot be used: {error}") from error
    return root


def _fetch(names: list[str], suite: str, root: Path) -> None:
    name = names[0]
    for program in ("apt-get", "dpkg"):
        if shutil.which(program) is None:
            raise UnavailableError(f"{name} comes from a Debian package, and this machine has no {program}")
    if not KEYRING.is_file():
        raise UnavailableError(f"{name} comes from a Debian package, and the keyring {KEYRING} is missing")
    mirror = debian_mirror()
    print(f"fetching {name} of Debian {suite} from {mirror} into {root}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=root.parent, prefix=f".{name}-") as made:
        folder = Path(made)
        (folder / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror} {suite} main\n")
        (folder / "apt.conf").write_text(APT_CONF.format(folder=folder))
        (folder / "lists" / "partial").mkdir(parents=True)
        (folder / "cache" / "archives" / "partial").mkdir(parents=True)
        apt = ["apt-get", "-q", "-c", str(folder / "apt.conf")]
        # Without --error-on, apt counts an update that reached no mirror as a success.
        _run([*apt, "--error-on=any", "update"], folder)
        _run([*apt, "download", *names], folder)
        unpacked = folder / "root"
        for package in folder.glob("*.deb"):
            _run(["dpkg", "-x", str(package), str(unpacked)], folder)
        _keep_links_inside(unpacked)
        unpacked.rename(root)


def _keep_links_inside(root: Path) -> None:
    """Make links to what the packages hold themselves relative: `/etc/java-17-openjdk` is not where it will lie."""
    for link in filter(Path.is_symlink, root.rglob("*")):
        target = link.readlink()
        inside = root / target.relative_to("/") if target.is_absolute() else None
        if inside is not None and inside.exists():
            link.unlink()
            link.symlink_to(os.path.relpath(inside, link.parent))


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"`{' '.join(command)}` did not end within {error.timeout:g} s") from error
    if done.returncode:
        said = " / ".join(line for line in done.stderr.splitlines() if line.strip())
        raise UnavailableError(f"`{' '.join(command)}` failed: {said}")


class Source(NamedTuple):
    """One package source of the system."""

    uri: str
    suites: list[str]
    components: list[str]
    signed_by: str


def debian_mirror() -> str:
    """Return the mirror that the system itself gets Debian from."""
    for source in _sources():
        third_party = source.signed_by and "debian-archive" not in source.signed_by
        security = "security" in source.uri or any("security" in suite for suite in source.suites)
        if "main" in source.components and not third_party and not security:
            return source.uri
    raise UnavailableError(f"no source of Debian packages is named in {SOURCES}")


def _sources() -> Iterator[Source]:
    for path in (*sorted(SOURCES.glob("sources.list.d/*.sources")), SOURCES / "sources.list"):
        if path.is_file():
            yield from (_deb822 if path.suffix == ".sources" else _one_line)(path.read_text())
    for path in sorted(SOURCES.glob("sources.list.d/*.list")):
        yield from _one_line(path.read_text())


def _deb822(text: str) -> Iterator[Source]:
    """Read stanzas of `Key: value`, which an empty line parts (sources.list(5), "deb822-style format")."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in "\n".join(lines).split("\n\n"):
        fields: dict[str, str] = {}
        key = ""
        for line in stanza.splitlines():
            if line[:1].isspace():
                fields[key] = f"{fields.get(key, '')} {line.strip()}"
            else:
                key, _, value = line.partition(":")
                key = key.strip().lower()
                fields[key] = value.strip()
        if "deb" in fields.get("types", "").split() and fields.get("enabled", "yes").lower() != "no":
            suites, components = fields.get("suites", "").split(), fields.get("components", "").split()
            for uri in fields.get("uris", "").split():
                yield Source(uri, suites, components, fields.get("signed-by", ""))


def _one_line(text: str) -> Iterator[Source]:
    """Read lines of `deb [option=value ...] uri suite component ...`."""
    for line in text.splitlines():
        entry = line.partition("#")[0].strip()
        if not entry.startswith("deb "):
            continue
        entry = entry.removeprefix("deb").strip()
        options = ""
        if entry.startswith("["):
            options, _, entry = entry[1:].partition("]")
        signed_by = next((o.partition("=")[2] for o in options.split() if o.startswith("signed-by=")), "")
        match entry.split():
            case [uri, suite, *components]:
                yield Source(uri, [suite], components, signed_by)
