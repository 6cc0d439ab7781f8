"""Instances listed in a file, which is followed while it changes. Its format is file_format's concern."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import aclosing
from typing import TYPE_CHECKING

import anyio.to_thread
import watchfiles

from discovery.file_format import parse
from discovery.instance import Snapshot
from discovery.registry import RegistryError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from discovery.instance import Instance

SIZE_LIMIT = 16 * 2**20  # bytes; more than a hundred thousand instances
LOOK_ANYWAY = 2.0  # seconds without news after which the file is read all the same
GATHER = 200  # milliseconds; a row of changes without a pause is looked at so often


class FileRegistry:
    """The instances that the file at `path` lists: JSON if it is named `*.json`, else YAML.

    The file's folder is watched and not the file, for editors, `mv` and Kubernetes' ConfigMaps put a new file or a new
    symbolic link in the place of the old one. What counts is the content: a file written anew as it was is no news.
    File systems that tell nothing of their changes (NFS), and folders that are themselves replaced, are why the file is
    also read every two seconds.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def watch(self, service: str) -> AsyncIterator[Snapshot]:
        """Yield what the file says now, and again at each change and each look at it."""
        # watchfiles waits in a thread of anyio's, which has 40 of them for the whole process: each watch adds its own.
        limiter = anyio.to_thread.current_default_thread_limiter()
        limiter.total_tokens += 1
        changes = watchfiles.awatch(
            self._path.parent,
            watch_filter=None,
            recursive=False,
            debounce=GATHER,
            rust_timeout=int(LOOK_ANYWAY * 1000),
            yield_on_timeout=True,
        )
        try:
            async with aclosing(changes), aclosing(self._follow(service, changes)) as snapshots:
                async for snapshot in snapshots:
                    yield snapshot
        finally:
            limiter.total_tokens -= 1

    async def _follow(
        self, service: str, changes: AsyncGenerator[set[watchfiles.main.FileChange], None]
    ) -> AsyncGenerator[Snapshot, None]:
        version = ""
        instances: tuple[Instance, ...] = ()
        unreadable: tuple[str, ...] = ()
        continuous = False
        while True:
            # The watch is on before the file is read, so that no change falls between the two.
            change = asyncio.ensure_future(anext(changes))
            try:
                await asyncio.sleep(0)
                content = await asyncio.to_thread(self._read)
                if version != (version := hashlib.sha256(content).hexdigest()[:12]):
                    instances, unreadable = await asyncio.to_thread(self._parse, content)
                yield Snapshot(service, instances, version, continuous, unreadable)
                continuous = True
                try:
                    await change
                except (OSError, RuntimeError, StopAsyncIteration) as error:
                    raise RegistryError(f"the folder {self._path.parent} cannot be watched: {error}") from error
            finally:
                change.cancel()
                await asyncio.gather(change, return_exceptions=True)

    def _read(self) -> bytes:
        try:
            if not self._path.is_file() and self._path.exists():  # opening a pipe would wait for its writer
                raise RegistryError(f"{self._path} is no file")
            with self._path.open("rb") as file:
                content = file.read(SIZE_LIMIT + 1)
        except OSError as error:
            raise RegistryError(f"{self._path} cannot be read: {error.strerror}") from error
        if not content:
            # Most likely somebody opened it to write it anew. An empty set is written [].
            raise RegistryError(f"{self._path} is empty; a set without instances is written []")
        if len(content) > SIZE_LIMIT:
            raise RegistryError(f"{self._path} is larger than {SIZE_LIMIT // 2**20} MiB")
        return content

    def _parse(self, content: bytes) -> tuple[tuple[Instance, ...], tuple[str, ...]]:
        try:
            return parse(content, is_json=self._path.suffix == ".json")
        except ValueError as error:
            raise RegistryError(f"{self._path}: {error}") from error
