"""All that a route can ask for, at once and in its order."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import bcrypt

from tests.proxy.edge.ruling import Through, fields, through
from tests.proxy.http.scripted import OK

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

GO = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Groups: staff\r\n\r\n"
ANN = b"Authorization: Basic " + base64.b64encode(b"ann:secret")


def everything(folder: Path, **more: Any) -> AbstractAsyncContextManager[Through]:
    """Run a pointsman whose one route asks for everything."""
    users = folder / "users"
    users.write_bytes(b"ann:" + bcrypt.hashpw(b"secret", bcrypt.gensalt(4)) + b"\n")
    route = {
        "path": "/api",
        "allow": ["127.0.0.0/8"],
        "rate_limit": {"requests": 3, "per": "1h"},
        "basic_auth": {"file": str(users), "header": "X-User"},
        "forward_auth": {"service": "auth", "path": "/check", "copy": ["X-Groups"]},
        "split": "both",
        "strip_prefix": True,
        "request_headers": {"set": {"X-Path": "{path}"}, "remove": ["X-Debug"]},
        "response_headers": {"set": {"X-From": "{service}"}},
        "mirror": {"service": "shadow"},
        **more,
    }
    return through(
        others={"auth": {}, "shadow": {}},
        routes=[route],
        splits={"both": {"services": {"web": 1, "shadow": 0}}},
        listeners=[{"bind": "127.0.0.1:0", "response_headers": {"set": {"X-Of": "listener"}}}],
    )


async def test_a_request_passes_all_of_it_and_its_copy_is_whole(tmp_path) -> None:
    async with everything(tmp_path) as world:
        head = (
            b"POST /api/x HTTP/1.1\r\nHost: shop\r\n%b\r\nX-Debug: 1\r\nX-User: eve\r\nContent-Length: 6\r\n\r\nabc"
            % ANN
        )
        client, auth = await world.asking(head, "auth")
        asked = await auth.through()
        assert asked.startswith(b"GET /check HTTP/1.1\r\n")
        assert b"\r\nX-Forwarded-Uri: /api/x\r\n" in asked
        await client.send(b"def")  # while the verdict is waited for
        await auth.send(GO)
        instance = await world.instances["web"].accept()
        shadow = await world.instances["shadow"].accept()
        for peer, copies in ((instance, []), (shadow, [b"true"])):
            got = await peer.through()
            assert got.startswith(b"POST /x HTTP/1.1\r\n")
            assert fields(got, b"X-User") == [b"ann"]
            assert fields(got, b"X-Groups") == [b"staff"]
            assert fields(got, b"X-Path") == [b"/api/x"]
            assert fields(got, b"X-Debug") == []
            assert fields(got, b"X-Pointsman-Mirror") == copies
            await peer.gets(b"abcdef")
        await instance.send(OK)
        _, answered, _ = await client.response()
        assert fields(answered, b"X-From") == [b"web"]
        assert fields(answered, b"X-Of") == [b"listener"]


async def test_what_is_refused_meets_nothing_of_what_comes_later(tmp_path) -> None:
    async with everything(tmp_path) as world:
        client = await world.client(b"GET /api HTTP/1.1\r\nHost: shop\r\n\r\n")
        status, answered, _ = await client.response()
        assert status == 401
        assert fields(answered, b"X-Of") == [b"listener"]  # of our own answers too
        _, auth = await world.asking(b"GET /api HTTP/1.1\r\nHost: shop\r\n%b\r\n\r\n" % ANN, "auth")
        await auth.through()
        await auth.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        assert (await world.clients[-1].response())[0] == 403
        await world.clients[-1].send(b"GET /api HTTP/1.1\r\nHost: shop\r\n\r\n" * 2)
        assert (await world.clients[-1].response())[0] == 401
        assert (await world.clients[-1].response())[0] == 429  # before the password
        assert 'pointsman_mirrored_total{service="shadow"} 0.0' in await world.metrics()
        assert 'code="2xx",service="web"} 0.0' in await world.metrics()


async def test_an_answer_of_our_own_waits_for_the_verdict_too(tmp_path) -> None:
    users = tmp_path / "users"
    users.write_bytes(b"ann:" + bcrypt.hashpw(b"secret", bcrypt.gensalt(4)) + b"\n")
    routes = [{"answer": {"status": 200, "body": "inside"}, "basic_auth": {"file": str(users)}}]
    async with through(routes=routes) as world:
        client = await world.client(
            b"GET / HTTP/1.1\r\nHost: shop\r\n\r\nGET / HTTP/1.1\r\nHost: shop\r\n%b\r\n\r\n" % ANN
        )
        assert (await client.response())[0] == 401
        status, _, content = await client.response()
        assert (status, content) == (200, b"inside")
