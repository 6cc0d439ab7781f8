"""The configuration changes while certificates are got, or are to be got."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import aiohttp

from proxy.tls import certificates
from proxy.tls.acme import pace
from proxy.tls.acme.challenges import PREFIX
from proxy.tls.acme.files import Folder
from tests.proxy.running import instance, until
from tests.proxy.test_reload import at_work, configuration, post, write

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from proxy.tls.acme.renewals import Renewals
    from tests.proxy.running import Running
    from tests.servers.pebble import Pebble

DOMAIN, OTHER = "shop.example.com", "www.example.com"
AWAY = {"terms_agreed": True, "directory": "https://127.0.0.1:9/dir", "folder": "acme"}
QUESTION = PREFIX.decode() + "tok-en_1"


def renewals_of(pointsman: Running) -> Renewals:
    renewals = pointsman.application.renewals
    assert renewals is not None
    return renewals


async def reloaded(pointsman: Running, folder: Path, config: dict[str, Any]) -> None:
    write(folder, config)
    status, told = await post(pointsman)
    assert status == 200, told


async def test_an_authority_comes_changes_and_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "_SOON", 3600.0)  # once is enough: nothing is tried again in this test
    monkeypatch.setattr(pace, "_SOON_MOST", 3600.0)
    async with instance("web") as address, at_work(tmp_path, configuration(address)) as pointsman:
        assert await pointsman.admin("/api/v1/acme") == (200, {"directory": None, "domains": []})
        await reloaded(pointsman, tmp_path, configuration(address, acme={**AWAY, "domains": [DOMAIN]}))
        first = renewals_of(pointsman)
        await until(lambda: first.failed)
        folder = Folder(tmp_path / "acme")
        with folder.locked() as ours:
            assert ours
            folder.prove("tok-en_1", b"tok-en_1.thumb")
            assert await pointsman.get(QUESTION) == (200, "tok-en_1.thumb")
            failures = first.domains[DOMAIN].failures
            await reloaded(pointsman, tmp_path, configuration(address, acme={**AWAY, "domains": [DOMAIN, OTHER]}))
            renewals = renewals_of(pointsman)
            assert renewals is not first
            assert list(renewals.domains) == [DOMAIN, OTHER]
            assert renewals.domains[DOMAIN].failures >= failures
            assert renewals.failed >= failures
            await until(lambda: renewals.domains[OTHER].standing)
            assert (tmp_path / "acme" / f"{OTHER}.crt").exists()
            assert await pointsman.get(QUESTION) == (200, "tok-en_1.thumb")
            await reloaded(pointsman, tmp_path, configuration(address))
            assert pointsman.application.renewals is None
            assert await pointsman.get(QUESTION) == (200, "web")


async def test_what_cannot_be_leaves_all_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with instance("web") as address:
        config = configuration(address, acme={**AWAY, "domains": [DOMAIN]})
        async with at_work(tmp_path, config) as pointsman:
            renewals = renewals_of(pointsman)
            write(tmp_path, {**config, "acme": {**config["acme"], "folder": "file"}})
            status, told = await post(pointsman)
            assert (status, "acme.folder" in told["errors"][0]) == (500, True)
            assert renewals_of(pointsman) is renewals


async def test_a_listener_with_tls_comes_and_gets_its_certificate(
    authority: Pebble, proof_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "LOOK", 0.02)
    async with instance("web") as address:
        plain = {"bind": f"127.0.0.1:{proof_port}"}
        config = configuration(address, listeners=[plain])
        async with at_work(tmp_path, config) as pointsman:
            secure = {"bind": "127.0.0.1:0", "tls": {"acme": {"domains": [DOMAIN]}}}
            acme = {key: value for key, value in authority.keys(tmp_path / "acme").items() if key != "domains"}
            await reloaded(pointsman, tmp_path, {**config, "listeners": [plain, secure], "acme": acme})
            listener = pointsman.application.listeners[1]
            followed = listener.certificates
            assert followed is not None
            await until(lambda: followed.loads)
            context = ssl.create_default_context(cadata=authority.root())
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"https://127.0.0.1:{listener.ports[0]}/", ssl=context, server_hostname=DOMAIN) as response,
            ):
                assert await response.text() == "web"
