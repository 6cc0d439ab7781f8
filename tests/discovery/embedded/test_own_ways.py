"""Where the embedded registry differs from Consul on purpose."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

import pytest

from discovery.embedded import waiting
from discovery.embedded.server import RegistryServer
from discovery.registry import RegistryError
from tests.discovery.embedded.client import Client, eventually

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp

REGISTER = "/v1/agent/service/register"


async def test_a_service_that_stays_critical_is_deregistered(embedded: Client, caplog: pytest.LogCaptureFixture):
    """Consul waits a minute at least, and looks every thirty seconds."""
    check = {"TTL": "100ms", "DeregisterCriticalServiceAfter": "1s"}
    await embedded.register("web", Check=check)
    await embedded.register("api", Check=check)
    began = asyncio.get_running_loop().time()
    with caplog.at_level(logging.WARNING):
        while asyncio.get_running_loop().time() < began + 2:
            await embedded.put("/v1/agent/check/pass/service:api")
            await asyncio.sleep(0.02)
        assert await embedded.ids("web") == []
        assert await embedded.ids("api") == ["api"]
    assert "deregistered service web: its check service:web was critical for too long: TTL expired" in caplog.text


async def test_a_service_in_maintenance_is_not_deregistered_for_it(embedded: Client):
    check = {"TTL": "1h", "Status": "passing", "DeregisterCriticalServiceAfter": "1s"}
    await embedded.register("web", Check=check)
    await embedded.put("/v1/agent/service/maintenance/web?enable=true")
    await asyncio.sleep(1.2)
    assert await embedded.ids("web") == ["web"]


@pytest.mark.parametrize("path", ["health/service/web?filter=Service.Port==80", "agent/services?filter=ID==x",
                                  "health/service/web?node-meta=a:b"])  # fmt: skip
async def test_there_are_no_filters(embedded: Client, path: str):
    answer = await embedded.get(f"/v1/{path}")
    assert answer.status == 400
    assert "does not know ?" in answer.text


MALFORMED: dict[bytes, str] = {
    b"": "Expecting value",
    b"{": "Expecting property name",
    b"[]": "should be a JSON object",
    b'"web"': "should be a JSON object",
    b'{"Name":"web"} {}': "Extra data",
    b'{"Name":"w\xff"}': "utf-8",
    b'{"Name":"\\ud800"}': "Name: Input should be a valid string",
    b'{"Name":"a\\nb"}': "Name: holds characters that cannot be printed",
    b'{"Name":"web","ID":"a\\u0000"}': "ID: holds characters that cannot be printed",
    b'{"Name":3}': "Name: Input should be a valid string",
    b'{"Name":"' + b"w" * 513 + b'"}': "Name: String should have at most 512 characters",
    b'{"Name":"web","Port":-1}': "Port: Input should be greater than or equal to 0",
    b'{"Name":"web","Port":65536}': "Port: Input should be less than or equal to 65535",
    b'{"Name":"web","Port":"80"}': "Port: Input should be a valid integer",
    b'{"Name":"web","Port":true}': "Port: Input should be a valid integer",
    b'{"Name":"web","Port":80.0}': "Port: Input should be a valid integer",
    b'{"Name":"web","Port":1' + b"0" * 5000 + b"}": "integer string conversion",
    b'{"Name":"web","Address":"0.0.0.0"}': "Address: is the address to listen on everywhere",
    b'{"Name":"web","Address":"two words"}': "Address: should be an IP address or a host name",
    b'{"Name":"web","Address":"http://x/"}': "Address: should be an IP address or a host name",
    b'{"Name":"web","Tags":"a"}': "Tags: Input should be a list",
    b'{"Name":"web","Tags":[null]}': "Tags.0: Input should be a valid string",
    b'{"Name":"web","Tags":["\\u0007"]}': "Tags.0: holds characters that cannot be printed",
    b'{"Name":"web","Meta":{"a b":"c"}}': "Meta: the key 'a b' should be 1 to 128 letters",
    b'{"Name":"web","Meta":{"a":"' + b"x" * 513 + b'"}}': "Meta: the value of 'a' should be no more than 512 bytes",
    b'{"Name":"web","Meta":{"a":"\\udfff"}}': "is not Unicode text",
    b'{"Name":"web","Meta":' + b'{"a":' * 5000 + b"1" + b"}" * 5001: "",
    b'{"Name":"web","Weights":{"Passing":NaN}}': "NaN is not JSON",
    b'{"Name":"web","Weights":{"Passing":0}}': "Weights.Passing: Input should be greater than or equal to 1",
    b'{"Name":"web","Weights":{"Passing":-3}}': "Weights.Passing: Input should be greater than or equal to 1",
    b'{"Name":"web","Weights":{"Passing":1,"Warning":-1}}': "Weights.Warning: Input should be greater than or equal",
    b'{"Name":"web","Weights":{"Passing":65536}}': "Weights.Passing: Input should be less than or equal to 65535",
    b'{"Name":"web","Weights":{}}': "Weights.Passing: Field required",
    b'{"Name":"web","Colour":"red"}': "unknown field 'Colour'",
    b'{"Name":"web","Kind":"connect-proxy"}': "Kind: the embedded registry has no service mesh",
    b'{"Name":"web","Check":{"TTL":"soon"}}': "Check.TTL: 'soon' is not a duration",
    b'{"Name":"web","Check":{"TTL":true}}': "Check.TTL: should be a duration",
    b'{"Name":"web","Check":{"TTL":"-1s"}}': "Check: TTL must be > 0",
    b'{"Name":"web","Check":{"TTL":"9999999h"}}': "Check.TTL: is longer than 292 years",
    b'{"Name":"web","Check":{"TTL":"1m","Interval":"1s"}}': "Check: Interval and TTL cannot both be specified",
    b'{"Name":"web","Check":{"Name":"x"}}': "Check: TTL must be > 0",
    b'{"Name":"web","Check":{"TTL":"1m","Status":"good"}}': "Check.Status: Input should be",
    b'{"Name":"web","Check":{"HTTP":"http://x/"}}': "Check: Interval must be > 0",
    b'{"Name":"web","Check":{"HTTP":"ftp://x/","Interval":"1s"}}': "Check.HTTP: should be an http:// or https:// URL",
    b'{"Name":"web","Check":{"HTTP":"http://x/","Interval":"1s","Header":{"A":["b\\r\\nC: d"]}}}': "cannot be printed",
    b'{"Name":"web","Check":{"TCP":"nowhere","Interval":"1s"}}': "Check.TCP: should be host:port",
    b'{"Name":"web","Check":{"TCP":"x:99999","Interval":"1s"}}': "Check.TCP: should be host:port",
    b'{"Name":"web","Check":{"Args":["true"],"Interval":"1s"}}': "Args: the embedded registry runs TTL, HTTP and TCP",
    b'{"Name":"web","Checks":[{"TTL":"1m"},{"TTL":"x"}]}': "Checks.1.TTL: 'x' is not a duration",
    b'{"Name":"web","Checks":[null]}': "Checks.0: should be a JSON object",
    b'{"Name":"web","Checks":[{"TTL":"0s"}]}': "TTL must be > 0",
}


@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: repr(body[:60]))
async def test_what_is_malformed_is_refused_whole(embedded: Client, body: bytes):
    """Consul takes some of these, such as ports that are none; where it refuses, its text is about Go's types."""
    await embedded.register("kept")
    answer = await embedded.put(REGISTER, body)
    assert answer.status == 400, answer.text
    assert MALFORMED[body] in answer.text
    assert list((await embedded.get("/v1/agent/services")).json) == ["kept"]
    assert (await embedded.get("/v1/agent/checks")).json == {}


async def test_a_body_that_is_too_large(embedded: Client):
    answer = await embedded.put(REGISTER, b'{"Name":"' + b"w" * 600_000 + b'"}')
    assert (answer.status, answer.text) == (413, "The request is larger than 524288 bytes")


async def test_outputs_and_notes_are_cut_within_a_character(embedded: Client):
    await embedded.register("web", Check={"TTL": "1m", "Notes": "ü" * 5000})
    await embedded.put("/v1/agent/check/update/service:web", {"Status": "passing", "Output": "x" + "ü" * 5000})
    check = (await embedded.get("/v1/agent/checks")).json["service:web"]
    assert check["Output"] == "x" + "ü" * 2047 + " ... (captured 4096 of 10001 bytes)"
    assert check["Notes"].startswith("ü" * 2048 + " ...")


async def test_too_many_blocked_queries_are_told_so(
    server: RegistryServer, embedded: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(waiting, "MOST_WAITING", 2)
    path = f"/v1/health/service/web?index={(await embedded.health('web')).index}"
    queries = [asyncio.create_task(embedded.get(f"{path}&wait=1m")) for _ in range(2)]
    await eventually(lambda: how_many_wait(server), 2)
    refused = await embedded.get(f"{path}&wait=1m")
    assert (refused.status, refused.text) == (429, "Too many blocking queries: 2 are waiting")
    await embedded.register("web")
    assert [(await query).status for query in queries] == [200, 200]
    assert await how_many_wait(server) == 0


async def test_a_client_that_went_away_leaves_no_query_behind(server: RegistryServer, embedded: Client):
    index = (await embedded.health("web")).index
    query = asyncio.create_task(embedded.get(f"/v1/health/service/web?index={index}&wait=5m"))
    await eventually(lambda: how_many_wait(server), 1)
    query.cancel()
    await eventually(lambda: how_many_wait(server), 0)


async def how_many_wait(server: RegistryServer) -> int:
    return server._waiting.count


async def test_stopping_answers_those_who_wait(tmp_path: Path, session: aiohttp.ClientSession):
    server = RegistryServer("127.0.0.1", 0, tmp_path)
    await server.start()
    client = Client(server.address, session)
    index = (await client.health("web")).index
    query = asyncio.create_task(client.get(f"/v1/health/service/web?index={index}&wait=5m"))
    await eventually(lambda: how_many_wait(server), 1)
    async with asyncio.timeout(5):
        await server.stop()
        assert (await query).json == []


async def test_a_folder_has_one_registry(server: RegistryServer, tmp_path: Path):
    with pytest.raises(RegistryError, match=f"registry is in use by another registry, process {os.getpid()}"):
        await RegistryServer("127.0.0.1", 0, tmp_path / "registry").start()


async def test_an_address_in_use(server: RegistryServer, tmp_path: Path):
    port = int(server.address.rpartition(":")[2])
    with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
        await RegistryServer("127.0.0.1", port, tmp_path / "other").start()


async def test_a_file_that_is_no_database(tmp_path: Path):
    (tmp_path / "registry.sqlite").write_bytes(b"not a database at all" * 100)
    with pytest.raises(RegistryError, match=r"registry\.sqlite: file is not a database"):
        await RegistryServer("127.0.0.1", 0, tmp_path).start()
