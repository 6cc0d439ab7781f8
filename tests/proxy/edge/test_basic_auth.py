"""A name and a password."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from base64 import b64encode
from typing import TYPE_CHECKING

import bcrypt
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.edge import users_file
from proxy.edge.basic_auth import BasicAuth, read_credentials
from proxy.edge.guard import Guard
from proxy.edge.hashes import Hash, HashError, read_hash
from proxy.edge.users import UsersError, read_users
from proxy.edge.users_file import UsersFile, UsersFileError
from proxy.edge.verdicts import Verdicts
from tests.proxy.edge.guarding import guarded, request_of
from tests.proxy.http.scripted import GET, OK, OK_SENT, until
from tests.proxy.running import instance, running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.debian import DebianProgram


def crypted(password: bytes, cost: int = 4) -> bytes:
    return bcrypt.hashpw(password[:72], bcrypt.gensalt(cost)).replace(b"$2b$", b"$2y$")  # as htpasswd -B has it


ANN = b"ann:" + crypted(b"secret") + b"\n"


def basic(credentials: bytes) -> bytes:
    return b"Authorization: Basic " + b64encode(credentials)


def get(credentials: bytes, more: bytes = b"") -> bytes:
    return GET[:-2] + basic(credentials) + b"\r\n" + more + b"\r\n"


@pytest.fixture
def file(tmp_path: Path) -> UsersFile:
    path = tmp_path / "users"
    path.write_bytes(ANN)
    return UsersFile(path)


@pytest.mark.parametrize("option", ["-apr1", "-5", "-6"])
def test_what_openssl_makes_is_known(option) -> None:
    made = subprocess.run(["openssl", "passwd", option, "sécret"], capture_output=True, check=True, text=True)
    known = read_hash(made.stdout.strip())
    assert known.fits("sécret".encode())
    assert not known.fits(b"secret")


def test_the_other_kinds_are_known() -> None:
    assert read_hash("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=").fits(b"secret")
    long = b"x" * 100
    assert read_hash(crypted(long).decode()).fits(long)  # of which bcrypt takes 72 bytes, as with Apache
    assert read_hash(crypted(b"a", 5).decode()).kind == "bcrypt 05"


@pytest.mark.parametrize(
    "text",
    [
        "secret",
        "",
        "rqXexS6ZhobKA",  # DES, of htpasswd -d
        "$2y$16$" + "a" * 53,
        "$2y$04$" + "a" * 52,
        "$6$rounds=99999999$salt$" + "a" * 86,
        "$6$salt$" + "a" * 85,
        "$1$salt$" + "a" * 22,
        "{SSHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
    ],
)
def test_what_is_no_good_hash_is_refused(text) -> None:
    with pytest.raises(HashError):
        read_hash(text)


def test_a_file_of_users() -> None:
    users = read_users(b"# of the shop\n\n" + ANN + b"bob:" + crypted(b"b") + b"\r\n" + b"c:{SHA}" + b"a" * 27 + b"=\n")
    assert list(users.hashes) == [b"ann", b"bob", b"c"]
    assert users.knows(b"ann", b"secret")
    assert not users.knows(b"ann", b"b")
    assert not users.knows(b"eve", b"secret")
    assert users.decoy.kind == "bcrypt 04"  # what most have
    assert read_users(b"").decoy.kind == "bcrypt 10"
    assert not read_users(b"").knows(b"", b"")


def test_somebody_unknown_costs_the_same(monkeypatch) -> None:
    compared = []

    def fits(self: Hash, password: bytes) -> bool:
        compared.append(self.kind)
        return True

    monkeypatch.setattr(Hash, "fits", fits)
    users = read_users(ANN)
    assert users.knows(b"ann", b"x")
    assert not users.knows(b"eve", b"x")  # though the password may be that of the decoy
    assert compared == ["bcrypt 04"] * 2


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (b"ann:secret\n", "line 1: what follows 'ann' is no hash"),
        (ANN + b"bob\n", "line 2 is not name:hash"),
        (ANN + b":" + ANN, "line 2 is not name:hash"),
        (ANN + ANN, "line 2: 'ann' is there twice"),
    ],
    ids=["no hash", "no colon", "no name", "twice"],  # a hash is another one in each process
)
def test_a_file_that_makes_no_sense(text, wrong) -> None:
    with pytest.raises(UsersError, match=wrong) as error:
        read_users(text)
    assert "secret" not in str(error.value).replace("what follows", "")


@given(st.binary(max_size=200))
def test_any_bytes_are_users_or_an_error(text) -> None:
    try:
        assert len(read_users(text).hashes) <= text.count(b"\n") + text.count(b"\r") + 1
    except UsersError:
        pass


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([basic(b"ann:se:cret")], (b"ann", b"se:cret")),
        ([b"authorization:basic   " + b64encode(b"ann:")], (b"ann", b"")),
        ([b"Authorization: Basic !!!"], None),
        ([b"Authorization: Bearer abc"], None),
        ([b"Authorization: Basic"], None),
        ([basic(b"ann")], None),
        ([basic(b":secret")], None),
        ([basic(b"ann:a\0b")], None),
        ([basic(b"ann:" + b"x" * 1024)], None),
        ([basic(b"ann:a"), basic(b"ann:b")], None),
        ([], None),
    ],
)
def test_credentials(fields, expected) -> None:
    assert read_credentials(request_of("10.0.0.1", *fields)) == expected


@given(st.binary(max_size=80))
def test_any_field_is_credentials_or_none(value) -> None:
    found = read_credentials(request_of("10.0.0.1", b"Authorization: Basic " + value.replace(b"\r", b"")))
    assert found is None or (found[0] and b":" not in found[0])


def test_verdicts_are_remembered_for_a_time_and_bounded(monkeypatch) -> None:
    verdicts = Verdicts()
    good, bad = verdicts.key(b"ann", b"secret"), verdicts.key(b"ann", b"wrong")
    assert Verdicts().key(b"ann", b"secret") != good
    verdicts.keep(good, True, 0.0)
    verdicts.keep(bad, False, 0.0)
    assert [verdicts.find(key, 4.9) for key in (good, bad)] == [True, False]
    assert [verdicts.find(key, 5.0) for key in (good, bad)] == [True, None]
    assert verdicts.find(good, 60.0) is None
    monkeypatch.setattr("proxy.edge.verdicts._MOST", 3)
    for number in range(9):
        verdicts.keep(b"%d" % number, False, 0.0)
    assert len(verdicts._bad) == 3
    assert verdicts.find(good, 1.0) is True  # whoever guesses drives out no user
    verdicts.clear()
    assert verdicts.find(good, 1.0) is None


def test_a_file_that_is_not_there_ends_the_start(tmp_path) -> None:
    with pytest.raises(UsersFileError, match=r"users cannot be read: No such file"):
        UsersFile(tmp_path / "users")


async def test_a_changed_file_is_in_force_and_a_bad_one_is_not(file, caplog) -> None:
    await file.look()
    assert file.read == 1  # nothing has changed
    file.verdicts.keep(b"key", True, 1e9)
    file.path.write_bytes(b"")
    await file.look()
    file.path.write_bytes(b"bob:" + crypted(b"b") + b"\n")
    await file.look()
    assert list(file.users.hashes) == [b"ann"]  # it may still be being written
    await file.look()
    assert list(file.users.hashes) == [b"bob"]
    assert file.verdicts.find(b"key", 0.0) is None
    for bad in (b"eve:plain\n", None):
        file.path.write_bytes(bad) if bad else file.path.unlink()
        await file.look()
        await file.look()
        assert list(file.users.hashes) == [b"bob"]
        assert file.error
    assert file.failed == 2
    assert "the users of before stay in force" in caplog.text
    other = file.path.with_name("other")
    other.write_bytes(ANN)
    os.replace(other, file.path)
    await file.look()
    await file.look()
    assert (list(file.users.hashes), file.error) == ([b"ann"], "")


async def test_the_name_is_told_and_nobody_can_forge_it(file) -> None:
    auth = BasicAuth(file, realm='a "b" \\', header="X-User", remove=True)
    async with guarded(Guard("", basic=auth), logged=True) as proxy:
        client = await proxy.client()
        await client.send(
            GET + get(b"ann:wrong") + get(b"ann:secret", b"x_user: eve\r\nX-User: eve\r\n") + get(b"ann:secret")
        )
        for _ in range(2):
            status, head, _ = await client.response()
            assert status == 401
            assert b'\r\nWWW-Authenticate: Basic realm="a \\"b\\" \\\\", charset="UTF-8"\r\n' in head
        peer = await proxy.instance.accept()
        for _ in range(2):
            head = await peer.through()
            assert head.startswith(b"GET / HTTP/1.1\r\nHost: shop\r\nX-User: ann\r\n")
            assert b"eve" not in head
            assert b"uthorization" not in head
            await peer.send(OK)
            await client.gets(OK_SENT)
        assert [(record.status, record.user) for record in proxy.records] == [
            (401, b""), (401, b""), (200, b"ann"), (200, b"ann"),
        ]  # fmt: skip
        assert (auth.refused, file.checked) == (2, 2)  # the second good one was remembered
    file.close()


async def test_the_loop_goes_on_while_passwords_are_checked_and_the_queue_is_bounded(file, monkeypatch) -> None:
    go = threading.Event()
    monkeypatch.setattr(Hash, "fits", lambda self, password: go.wait(10))
    monkeypatch.setattr(users_file, "_MOST_CHECKED", 2)
    async with guarded(Guard("", basic=BasicAuth(file, realm="r"))) as proxy:
        clients = [await proxy.client() for _ in range(4)]
        for number in range(3):
            await clients[number].send(get(b"ann:%d" % number))
            await until(lambda: len(file._checking) == min(number + 1, 2))  # noqa: B023
        assert (await clients[2].response())[0] == 503
        await clients[3].send(get(b"ann:1"))  # the same as another's: it waits with that one
        await until(lambda: sum(map(len, file._checking.values())) == 3)
        go.set()
        for _ in range(3):
            peer = await proxy.instance.accept()
            await peer.through()
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        for client in (clients[0], clients[1], clients[3]):
            assert (await client.response())[0] == 200
        assert (file.overflowed, file.checked) == (1, 2)
    file.close()


async def test_a_password_that_waits_too_long_and_a_client_that_leaves(file, monkeypatch) -> None:
    go = threading.Event()
    monkeypatch.setattr(Hash, "fits", lambda self, password: go.wait(10))
    async with guarded(Guard("", basic=BasicAuth(file, realm="r"))) as proxy:
        client, other = await proxy.client(), await proxy.client()
        await client.send(get(b"ann:a"))
        await until(lambda: file._checking)
        await other.send(get(b"ann:b"))
        await until(lambda: len(file._checking) == 2)
        other.close()
        await until(lambda: proxy.listener.clients == 1)
        proxy.pass_time(6)
        assert (await client.response())[0] == 503
        go.set()
        await until(lambda: not file._checking)
    file.close()


async def test_curl_and_httpx_with_a_file_that_changes(curl: DebianProgram, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("proxy.assemble.guards.LOOK", 0.02)
    path = tmp_path / "users.htpasswd"
    path.write_bytes(ANN)
    async with instance("web") as at:
        config = {
            "routes": [{"service": "web", "basic_auth": {"file": "users.htpasswd", "realm": "shop"}}],
            "services": {"web": {"discovery": {"static": [at]}}},
        }
        async with running(config, folder=tmp_path) as pointsman:
            url = f"http://127.0.0.1:{pointsman.application.listeners[0].ports[0]}/"

            async def asked(*arguments: str) -> bytes:
                words = ["--silent", "--max-time", "10", *arguments, url]
                return (await asyncio.to_thread(curl.run, *words, timeout=20)).stdout

            assert await asked("-u", "ann:secret") == b"web"
            assert await asked("--anyauth", "-u", "ann:secret") == b"web"
            assert await asked("-u", "ann:wrong", "-o", "/dev/null", "-w", "%{http_code}") == b"401"
            async with httpx.AsyncClient(trust_env=False) as client:
                assert (await client.get(url)).headers["www-authenticate"] == 'Basic realm="shop", charset="UTF-8"'
                assert (await client.get(url, auth=("ann", "secret"))).text == "web"
                path.write_bytes(b"bob:" + crypted(b"b") + b"\n")
                [file] = pointsman.application.guards.files.values()
                await until(lambda: b"bob" in file.users.hashes)
                assert (await client.get(url, auth=("ann", "secret"))).status_code == 401
                assert (await client.get(url, auth=("bob", "b"))).text == "web"
                path.write_bytes(b"bob:plain\n")
                await until(lambda: file.error)
                assert (await client.get(url, auth=("bob", "b"))).text == "web"
            text = (await pointsman.admin("/metrics"))[1]
            assert f'pointsman_users_file_bad{{file="{path}"}} 1.0' in text
