"""Certificates are rotated under load: nobody notices but by the certificate."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from proxy.tls import certificates
from tests.proxy.running import until
from tests.proxy.test_tls import ask, client_context, connect, issue, secured

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

ROTATIONS = 20
KEPT, FRESH = 4, 4  # clients that keep their connection, and those that come with a new one for each request


async def test_no_request_fails_while_certificates_are_rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "LOOK", 0.02)
    context = client_context()
    sent, failed = Counter[str](), Counter[str]()
    seen: set[str] = set()
    async with secured(tmp_path, {"certificates": [issue(tmp_path, "shop.test")]}) as proxy:
        followed = proxy.application.listeners[0].certificates
        assert followed is not None

        async def keep() -> None:
            reader, writer = await connect(proxy, context)
            while followed.loads < ROTATIONS:
                writer.write(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
                body = await asyncio.wait_for(reader.readexactly(5), 10)
                note("kept", good=head.startswith(b"HTTP/1.1 200 ") and body == b"web-1")
            writer.close()

        async def come() -> None:
            while followed.loads < ROTATIONS:
                try:
                    answer, shown = await ask(proxy, context)
                except OSError as error:
                    failed[f"fresh: {error}"] += 1
                else:
                    note("fresh", good=answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"web-1"))
                    seen.add(shown["serialNumber"])

        def note(who: str, *, good: bool) -> None:
            sent[who] += 1
            failed[who] += not good

        async def rotate() -> None:
            for number in range(1, ROTATIONS + 1):
                await asyncio.to_thread(issue, tmp_path, "shop.test")
                await until(partial(loaded, number))
                if number < ROTATIONS:  # after the last one nobody comes any more
                    await until(partial(met, sent["fresh"] + FRESH))

        def loaded(number: int) -> bool:
            return followed.loads == number

        def met(count: int) -> bool:
            """Tell whether so many have come: the last of them after the rotation."""
            return sent["fresh"] > count

        await asyncio.gather(rotate(), *(keep() for _ in range(KEPT)), *(come() for _ in range(FRESH)))
        print(f"\n{ROTATIONS} rotations: sent {dict(sent)}, failed {dict(+failed)}, {len(seen)} certificates seen")
        assert not +failed
        assert len(seen) >= ROTATIONS
