"""Certificates from a real authority, through a whole pointsman."""

from __future__ import annotations

import asyncio
import ssl
import stat
import time
from datetime import UTC, datetime, timedelta

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from proxy.tls import certificates
from proxy.tls.acme.challenges import PREFIX
from proxy.tls.acme.files import Folder
from tests.proxy.running import instance, running, until
from tests.servers.pebble import Pebble
from tests.servers.ports import free_port

DOMAIN = "shop.example.com"


def config_of(port, address, acme):
    return {
        "listeners": [{"bind": f"127.0.0.1:{port}"}],
        "services": {"web": {"discovery": {"static": [address]}}},
        "acme": {"domains": [DOMAIN], **acme},
    }


def renewals_of(running_one):
    renewals = running_one.application.renewals
    assert renewals is not None
    return renewals


def certificate_in(folder):
    return x509.load_pem_x509_certificate((folder / f"{DOMAIN}.crt").read_bytes())


async def issued(running_one, count=1):
    await until(lambda: renewals_of(running_one).issued == count)


async def test_a_host_gets_its_certificate_and_a_restart_keeps_it(authority, proof_port, tmp_path):
    folder = tmp_path / "acme"
    async with instance("web") as address:
        config = config_of(proof_port, address, authority.keys(folder))
        async with running(config, tmp_path) as one:
            await issued(one)
            status, shown = await one.admin("/api/v1/acme")
            _, metrics = await one.admin("/metrics")
            _, events = await one.admin("/api/v1/events?service=@acme")
            assert (await one.get())[0] == 200
        found = certificate_in(folder)
        issuer = x509.load_pem_x509_certificates((folder / f"{DOMAIN}.crt").read_bytes())[1]
        found.verify_directly_issued_by(issuer)
        key = load_pem_private_key((folder / f"{DOMAIN}.key").read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        assert (key.curve.name, key.public_key()) == ("secp256r1", found.public_key())
        for name in ("account.key", f"{DOMAIN}.key"):
            assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
        assert list((folder / "challenges").iterdir()) == []
        assert status == 200
        (told,) = shown["domains"]
        assert (told["name"], told["state"], told["failures"], told["error"]) == (DOMAIN, "valid", 0, "")
        assert told["next_order"] < told["valid_until"]
        assert 'pointsman_acme_orders_total{result="issued"} 1.0' in metrics
        assert [(event["kind"], event["endpoint"]) for event in events["events"]] == [("certificate_issued", DOMAIN)]
        async with running(config, tmp_path) as again:
            renewals = renewals_of(again)
            await until(lambda: renewals.domains[DOMAIN].standing)
            assert renewals.domains[DOMAIN].state == "valid"
            assert renewals.domains[DOMAIN].next > time.time() + 3600
            assert renewals.issued == 0
        assert certificate_in(folder) == found


async def test_a_certificate_that_grows_old_is_renewed_under_load(authority, proof_port, tmp_path):
    folder = tmp_path / "acme"
    folder.mkdir()
    old = trustme.CA().issue_cert(
        DOMAIN, key_type=trustme.KeyType.ECDSA, not_after=datetime.now(UTC) + timedelta(days=1)
    )
    old.cert_chain_pems[0].write_to_path(str(folder / f"{DOMAIN}.crt"))
    old.private_key_pem.write_to_path(str(folder / f"{DOMAIN}.key"))
    before = certificate_in(folder)
    statuses = []
    async with instance("web") as address:
        keys = authority.keys(folder, renew_before="2d")
        async with running(config_of(proof_port, address, keys), tmp_path) as one:

            async def ask():
                while renewals_of(one).issued < 1:
                    statuses.append((await one.get())[0])

            async with asyncio.timeout(15):
                await asyncio.gather(*[ask() for _ in range(4)])
        assert set(statuses) == {200}
        assert certificate_in(folder) != before


async def test_a_tls_listener_takes_the_certificate_up_and_cuts_nobody_off(
    authority, proof_port, tmp_path, monkeypatch
):
    monkeypatch.setattr(certificates, "LOOK", 0.02)
    async with instance("web") as address:
        config = config_of(proof_port, address, {**authority.keys(tmp_path / "acme"), "domains": []})
        tls = {"acme": {"domains": [DOMAIN]}}
        config["listeners"].append({"bind": "127.0.0.1:0", "tls": tls})
        async with running(config, tmp_path) as one:
            plain, secure = one.application.listeners
            assert plain.certificates is None
            followed = secure.certificates
            assert followed is not None
            reader, writer = await greeted(secure.ports[0], ssl._create_unverified_context())  # the placeholder
            assert (await asked(reader, writer)).startswith(b"HTTP/1.1 200")
            await issued(one)
            await until(lambda: followed.loads)
            assert (await asked(reader, writer)).startswith(b"HTTP/1.1 200")
            writer.close()
            trusted = ssl.create_default_context(cadata=await asyncio.to_thread(authority.root))
            reader, writer = await greeted(secure.ports[0], trusted)
            assert (await asked(reader, writer)).startswith(b"HTTP/1.1 200")
            writer.close()


async def greeted(port, context):
    return await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=DOMAIN)


async def asked(reader, writer):
    writer.write(b"GET / HTTP/1.1\r\nHost: shop.example.com\r\n\r\n")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    await asyncio.wait_for(reader.readexactly(3), 5)
    return head


async def test_an_authority_that_is_away_holds_nothing_up(pebble_programs, tmp_path):
    port = free_port()
    late = Pebble(tmp_path, port)
    async with (
        instance("web") as address,
        running(config_of(port, address, late.keys(tmp_path / "acme")), tmp_path) as one,
    ):
        renewals = renewals_of(one)
        await until(lambda: renewals.failed)
        assert (await one.get())[0] == 200
        assert "cannot be reached" in renewals.domains[DOMAIN].error
        assert renewals.domains[DOMAIN].state == "placeholder"
        assert renewals.folder.orders(DOMAIN) == []
        try:
            await asyncio.to_thread(late.start)
            await issued(one)
        finally:
            await asyncio.to_thread(late.stop)
        assert renewals.domains[DOMAIN].error == ""


async def test_a_proof_that_nobody_gives_is_told_and_not_tried_again_at_once(authority, tmp_path):
    async with (
        instance("web") as address,
        running(config_of(free_port(), address, authority.keys(tmp_path / "acme")), tmp_path) as one,
    ):
        renewals = renewals_of(one)
        await until(lambda: renewals.failed)
        _, shown = await one.admin("/api/v1/acme")
        (told,) = shown["domains"]
        assert (told["state"], told["failures"]) == ("placeholder", 1)
        assert "connection refused" in told["error"]
        assert renewals.domains[DOMAIN].next > time.time() + 200
        assert len(renewals.folder.orders(DOMAIN)) == 1
        assert (await one.get())[0] == 200


def asked_for(folder):
    """Put a proof into the folder; return the keys of an authority that is never asked while the lock is held."""
    folder.prepare(DOMAIN)
    folder.prove("tok-en_1", b"tok-en_1.thumb")
    return {"terms_agreed": True, "directory": "https://127.0.0.1:9/dir", "folder": str(folder.path)}


async def test_only_questions_about_proofs_of_ours_are_answered(tmp_path):
    folder = Folder(tmp_path / "acme")
    acme = asked_for(folder)
    path = PREFIX.decode()
    with folder.locked() as ours:  # another process orders, and this one is asked
        assert ours
        async with instance("web") as address, running(config_of(0, address, acme), tmp_path) as one:
            assert await one.get(path + "tok-en_1") == (200, "tok-en_1.thumb")
            elsewhere = await one.get(path + "unknown")
            assert elsewhere == await one.get("/")
            async with one.session.post(one.url + path + "tok-en_1", data=b"x") as posted:
                assert await posted.text() == elsewhere[1]
            async with one.session.head(one.url + path + "tok-en_1") as asked:
                assert (asked.status, asked.headers["Content-Length"]) == (200, "14")


async def test_a_listener_that_redirects_limits_and_wants_passwords_answers_the_authority(tmp_path):
    folder = Folder(tmp_path / "acme")
    (tmp_path / "users").write_text("ann:$2y$05$abcdefghijklmnopqrstuu5Q1h7Jc0s7Yk8uK3r5hq6h5m3m3m3m2\n")
    config = {
        **config_of(0, "127.0.0.1:9", asked_for(folder)),
        "listeners": [{"bind": "127.0.0.1:0", "rate_limit": {"requests": 1, "per": "1h", "by": "client"}}],
        "routes": [
            {"host": "127.0.0.1", "redirect": {"scheme": "https", "status": 308}},
            {"service": "web", "basic_auth": {"file": "users"}},
        ],
    }
    with folder.locked():
        async with running(config, tmp_path) as one:
            async with one.session.get(one.url + "/x", allow_redirects=False) as away:
                assert (away.status, away.headers["Location"].partition(":")[0]) == (308, "https")
            for _ in range(2):
                assert await one.get(PREFIX.decode() + "tok-en_1") == (200, "tok-en_1.thumb")
                one.application.catalogs._install(one.application.catalogs.entries)  # as when a catalog changes
            assert (await one.get("/", headers={"Host": "other.test"}))[0] == 429
