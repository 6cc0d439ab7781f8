"""A service's last good set in a file, for a process that starts while its registry is away.

A file is a line with the format and the checksum of the rest, then a JSON object. What is read is believed as little as
an answer of a registry: it may be half of a file, somebody else's, or of a version to come. What it holds is what the
registry tells of the instances; no token and no password ever comes near it.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from config.units import show
from discovery.instance import MAX_WEIGHT, Availability, Instance, Snapshot, one_line

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = "pointsman state"
VERSION = 1
SIZE_LIMIT = 256 * 2**20  # bytes; more than half a million instances
_LONGEST_STEM = 150  # characters of a service's name in a file's name, which may have 255 bytes in all
_DIGITS = 16  # of the digest of an owner


class StoredError(Exception):
    """A file of the state cannot be used; the text says which, and why."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose set a file holds: a service, and where its instances are found.

    `kind` is the registry's key in the configuration, `place` all that says which instances are meant: the registry's
    address, the service's name there, filters. No more than a digest of it is written.
    """

    service: str
    kind: str
    place: str

    @property
    def digest(self) -> str:
        """The same for equal owners, and in practice for no others."""
        whole = json.dumps([self.service, self.kind, self.place])
        return hashlib.sha256(whole.encode()).hexdigest()[:_DIGITS]

    @property
    def file_name(self) -> str:
        """A name that every file system takes, and that leads out of no folder."""
        stem = quote(self.service, safe="")[:_LONGEST_STEM]
        return f"{stem}@{self.kind}-{self.digest}.state"


@dataclass(frozen=True, slots=True)
class Stored:
    """A set, and when the registry last said that it was so, in seconds since 1970."""

    snapshot: Snapshot
    time: float


def dump(owner: Owner, stored: Stored) -> bytes:
    """Return the content of the file."""
    head = {
        "service": owner.service,
        "registry": owner.kind,
        "owner": owner.digest,
        "time": stored.time,
        "index": stored.snapshot.index,
    }
    # Instance by instance: while json is at work no other thread is, and ten thousand at a time are 40 milliseconds.
    instances = ",\n".join(json.dumps(_written(instance)) for instance in stored.snapshot.instances)
    body = f'{json.dumps(head)[:-1]}, "instances": [\n{instances}\n]}}\n'.encode()
    return f"{FORMAT} {VERSION} {hashlib.sha256(body).hexdigest()}\n".encode() + body


def parse(owner: Owner, content: bytes) -> Stored:
    """Read the content of a file; raise ValueError when it is not what `dump` wrote for this owner."""
    head, _, body = content.partition(b"\n")
    name, _, rest = head.rpartition(b" ")[0].rpartition(b" ")
    if name != FORMAT.encode():
        raise ValueError("it is no file of a pointsman's state")
    if rest != str(VERSION).encode():
        raise ValueError(f"it is of version {show(rest.decode('utf-8', 'replace'))}, and this program reads {VERSION}")
    if head.rpartition(b" ")[2] != hashlib.sha256(body).hexdigest().encode():
        raise ValueError("it is damaged: its checksum does not fit")
    try:
        found = json.loads(body)
        if found["owner"] != owner.digest or found["service"] != owner.service:
            raise ValueError("it belongs to another service or another registry")
        instances = tuple(_read(value) for value in found["instances"])
        return Stored(Snapshot(owner.service, instances, _text(found["index"]), continuous=False), _time(found["time"]))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"it makes no sense: {type(error).__name__}: {error}") from error


def load(path: Path) -> bytes | None:
    """Return what stands in a file, None if there is none; raise OSError, or ValueError if others may have written it.

    Whoever can write it says where requests go. Whose the folder is does not matter: who may write there, as all may in
    many a volume of a container, can take our file away, and can put none there that is ours.
    """
    try:
        # A pipe would have us wait for its writer, a symbolic link leads anywhere.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no file")
        if status.st_uid not in (0, os.geteuid()):
            raise ValueError("it belongs to another user")
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise ValueError("others may write to it: take that right from them")
        content = file.read(SIZE_LIMIT + 1)
    if len(content) > SIZE_LIMIT:
        raise ValueError(f"it is larger than {SIZE_LIMIT // 2**20} MiB")
    return content


def save(path: Path, content: bytes) -> None:
    """Put a file in the place of another one, whole or not at all, also when the power fails. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _written(instance: Instance) -> dict[str, Any]:
    return {
        "id": instance.id,
        "address": instance.address,
        "port": instance.port,
        "weight": instance.weight,
        "priority": instance.priority,
        "zone": instance.zone,
        "tags": list(instance.tags),
        "metadata": dict(instance.metadata),
        "availability": instance.availability.value,
        "reason": instance.reason,
        **({"secure": True} if instance.secure else {}),
    }


def _read(value: dict[str, Any]) -> Instance:
    return Instance(
        id=one_line("an identity", _text(value["id"])),
        address=one_line("an address", _text(value["address"])),
        port=_number(value["port"], 65535),
        weight=_number(value["weight"], MAX_WEIGHT),
        priority=_number(value["priority"], 2**31),
        zone=one_line("a zone", _text(value["zone"])),
        tags=tuple(_text(tag) for tag in value["tags"]),
        metadata={_text(key): _text(item) for key, item in value["metadata"].items()},
        availability=Availability(value["availability"]),
        reason=_text(value["reason"]),
        secure=value.get("secure") is True,
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{show(value)} should be a text")
    return value


def _number(value: object, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"{show(value)} should be a whole number from 0 to {most}")
    return value


def _time(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 2**40:
        raise ValueError(f"{show(value)} should be a time")
    return float(value)
