"""What a route asks for, where its clients speak TLS."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.proxy.edge.ruling import fields, through
from tests.proxy.http.scripted import OK
from tests.proxy.test_tls import ask, client_context, issue

if TYPE_CHECKING:
    from pathlib import Path

    from tests.proxy.edge.ruling import Through

CHECKED = b"HTTP/1.1 204 No Content\r\n\r\n"


def secured(folder: Path) -> dict[str, Any]:
    """Write a certificate; return a listener that shows it."""
    pair = issue(folder, "shop.test")
    return {"bind": "127.0.0.1:0", "tls": {"certificates": [{key: str(folder / name) for key, name in pair.items()}]}}


async def asked(world: Through, path: str, **answers: bytes) -> tuple[bytes, list[bytes]]:
    """Ask for a path; return the answer, and the heads that these services got, which answer so in turn."""

    async def answering() -> list[bytes]:
        heads = []
        for service, answer in answers.items():
            peer = await world.instances[service].accept()
            heads.append(await peer.through())
            await peer.send(answer)
        return heads

    request = f"GET {path} HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n"
    (answer, _), heads = await asyncio.gather(ask(world.pointsman, client_context(), request=request), answering())
    return answer, heads


async def test_redirects_rules_and_who_is_asked_know_that_it_is_https(tmp_path: Path) -> None:
    routes = [
        {"path": "/old", "redirect": {"host": "b.test"}},
        {"path": "/up", "redirect": {"scheme": "https"}},
        {"path": "/in", "service": "web", "forward_auth": {"service": "auth"}},
        {"service": "web", "request_headers": {"set": {"X-Scheme": "{scheme}"}}},
    ]
    async with through(others={"auth": {}}, listeners=[secured(tmp_path)], routes=routes) as world:
        answer, _ = await asked(world, "/old")
        assert fields(answer, b"Location") == [b"https://b.test/old"]
        answer, (head,) = await asked(world, "/up", web=OK)  # to where it is already: the route does not hold
        assert answer.startswith(b"HTTP/1.1 200")
        assert fields(head, b"X-Scheme") == fields(head, b"X-Forwarded-Proto") == [b"https"]
    async with through(others={"auth": {}}, listeners=[secured(tmp_path)], routes=routes, forwarded="none") as world:
        _, heads = await asked(world, "/in", auth=CHECKED, web=OK)
        assert [fields(head, b"X-Forwarded-Proto") for head in heads] == [[b"https"], []]
