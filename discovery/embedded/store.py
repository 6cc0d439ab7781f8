"""The catalog on disk: one SQLite file, written and read in one thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import math
import os
import sqlite3
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, Any, TypeVar, TypeVarTuple

from discovery.embedded.catalog import Catalog, Check, Service
from discovery.embedded.definition import CheckDefinition, ServiceDefinition
from discovery.registry import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

Given = TypeVarTuple("Given")
Answer = TypeVar("Answer")

VERSION = 1  # of the tables

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE services (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE checks (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
"""


class StoreError(RegistryError):
    """The registry's folder cannot be used, or a write did not reach the disk; the text names it."""


class Store:
    """A folder that one process holds.

    With a write-ahead log and synchronous=FULL, a write that returned survives the end of the process and of the
    machine's power.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "registry.sqlite"
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="registry store")
        self._lock: IO[str] | None = None
        self._database: sqlite3.Connection | None = None
        self.node_id = ""

    async def open(self, now: float) -> Catalog:
        """Take the folder and read what is there; `now` is the moment that TTLs are measured from again."""
        return await self._run(self._open, now)

    async def write(
        self, index: int, services: Mapping[str, Service | None], checks: Mapping[str, Check | None]
    ) -> None:
        """Write what was put and what is gone, all of it or nothing; StoreError when it was nothing."""
        await self._run(self._write, index, services, checks)

    async def close(self) -> None:
        await self._run(self._close)
        self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[*Given], Answer], *given: *Given) -> Answer:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *given)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{self._file}: {error}") from error

    def _open(self, now: float) -> Catalog:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._take()
        self._database = database = sqlite3.connect(self._file, isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version == 0:
            database.executescript(f"BEGIN; {_TABLES} PRAGMA user_version={VERSION}; COMMIT;")
        elif version != VERSION:
            raise StoreError(f"{self._file} was written by another version of pointsman (tables {version})")
        meta = dict(database.execute("SELECT name, value FROM meta"))
        self.node_id = meta.get("node_id") or str(uuid.uuid4())
        database.execute("INSERT OR REPLACE INTO meta VALUES ('node_id', ?)", (self.node_id,))
        try:
            return Catalog(
                int(meta.get("index", 1)),
                [_service(json.loads(record)) for (record,) in database.execute("SELECT record FROM services")],
                [_check(json.loads(record), now) for (record,) in database.execute("SELECT record FROM checks")],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{self._file} holds what cannot be read: {error}") from error

    def _take(self) -> None:
        """Hold the folder's lock for as long as this process lives."""
        path = self._folder / "lock"
        self._lock = open(path, "a+")  # noqa: SIM115 - it is held until `close`
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            holder = self._lock.read().strip() or "unknown"
            self._lock.close()
            self._lock = None
            raise StoreError(f"{self._folder} is in use by another registry, process {holder}") from None
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()}\n")
        self._lock.flush()

    def _write(self, index: int, services: Mapping[str, Service | None], checks: Mapping[str, Check | None]) -> None:
        database = self._database
        assert database is not None
        with _transaction(database):
            database.execute("INSERT OR REPLACE INTO meta VALUES ('index', ?)", (str(index),))
            for table, records in (
                ("services", {key: value and _service_record(value) for key, value in services.items()}),
                ("checks", {key: value and _check_record(value) for key, value in checks.items()}),
            ):
                gone = [(key,) for key, record in records.items() if record is None]
                put = [(key, json.dumps(record)) for key, record in records.items() if record is not None]
                database.executemany(f"DELETE FROM {table} WHERE id = ?", gone)
                database.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", put)

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None


@contextlib.contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All or nothing: sqlite3's own context manager begins none when isolation_level is None."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _service_record(service: Service) -> dict[str, Any]:
    return {
        "definition": service.definition.model_dump(mode="json", by_alias=True),
        "create_index": service.create_index,
        "modify_index": service.modify_index,
    }


def _service(record: dict[str, Any]) -> Service:
    definition = ServiceDefinition.model_validate(record["definition"])
    return Service(definition, record["create_index"], record["modify_index"])


def _check_record(check: Check) -> dict[str, Any]:
    fields = ("id", "name", "notes", "service_id", "kind", "status", "output", "create_index", "modify_index")
    definition = check.definition
    return {field: getattr(check, field) for field in fields} | {
        "definition": definition and definition.model_dump(mode="json", by_alias=True, exclude_unset=True),
    }


def _check(record: dict[str, Any], now: float) -> Check:
    """Make a check of its record; a TTL that had not run out has all of its time again."""
    given = record.pop("definition")
    definition = None if given is None else CheckDefinition.model_validate(given)
    critical = record["status"] == "critical"
    renewed = definition is not None and definition.kind == "ttl" and not critical
    return Check(
        **record,
        definition=definition,
        expires=now + definition.ttl_seconds if definition is not None and renewed else math.inf,
        critical_since=now if critical else None,
    )
