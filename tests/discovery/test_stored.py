"""How a set looks in a file, and which files are not believed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.instance import Availability, Instance, Snapshot
from discovery.stored import Owner, Stored, dump, load, parse, save

if TYPE_CHECKING:
    from pathlib import Path

OWNER = Owner("web", "consul", '{"service": "web"}')
FULL = Instance(
    id="node/web-1",
    address="fd00::5",
    port=8080,
    weight=3,
    priority=2,
    zone="z-1",
    tags=("a", "b"),
    metadata={"version": "2", "owner": "Ü"},
    availability=Availability.DOWN,
    reason="its check fails",
    secure=True,
)
STORED = Stored(Snapshot("web", (FULL, Instance("b", "10.0.0.2", 80)), index="77", continuous=False), 1764000000.25)


def changed(**fields: Any) -> bytes:
    """The file of STORED with other fields in the first instance, or in the whole, and a checksum that fits."""
    return with_body(lambda body: body["instances"][0].update(fields))


def with_body(change: Any) -> bytes:
    body = json.loads(dump(OWNER, STORED).partition(b"\n")[2])
    change(body)
    return sealed(json.dumps(body).encode())


def sealed(body: bytes) -> bytes:
    return f"pointsman state 1 {hashlib.sha256(body).hexdigest()}\n".encode() + body


def test_what_was_written_is_read():
    assert parse(OWNER, dump(OWNER, STORED)) == STORED


def test_every_field_of_an_instance_is_written():
    plain = Instance("id", "10.0.0.1", 1)
    fields = [field.name for field in dataclasses.fields(Instance)]
    assert all(getattr(FULL, name) != getattr(plain, name) for name in fields), "FULL must differ in each field"


def test_a_set_without_instances_is_one_too():
    empty = Stored(Snapshot("web", (), continuous=False), 1.0)
    assert parse(OWNER, dump(OWNER, empty)) == empty


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "no file of a pointsman's state"),
        (b"instances: []\n", "no file of a pointsman's state"),
        (dump(OWNER, STORED)[:-20], "damaged"),
        (dump(OWNER, STORED).replace(b"8080", b"8081"), "damaged"),
        (dump(OWNER, STORED).replace(b" 1 ", b" 2 ", 1), "it is of version '2', and this program reads 1"),
        (dump(Owner("shop", "consul", OWNER.place), STORED), "another service or another registry"),
        (dump(Owner("web", "etcd", OWNER.place), STORED), "another service or another registry"),
        (sealed(b"["), "Expecting value"),
        (sealed(b"[]"), "makes no sense"),
        (sealed(b"[" * 100_000), "makes no sense"),
        (sealed(b"\xff"), "invalid start byte"),
        (with_body(lambda body: body.pop("time")), "makes no sense: KeyError"),
        (with_body(lambda body: body.update(time="yesterday")), "'yesterday' should be a time"),
        (with_body(lambda body: body.update(time=float("nan"))), "should be a time"),
        (with_body(lambda body: body.update(instances={"a": 1})), "makes no sense"),
        (changed(port=65536), "whole number from 0 to 65535"),
        (changed(port=True), "whole number"),
        (changed(weight=-1), "whole number"),
        (changed(id="a\nb"), "one printable line"),
        (changed(id=7), "7 should be a text"),
        (changed(tags=[1]), "1 should be a text"),
        (changed(metadata=[]), "makes no sense"),
        (changed(availability="asleep"), "asleep"),
    ],
)
def test_a_file_that_is_not_right_is_named(content: bytes, complaint: str):
    with pytest.raises(ValueError, match=complaint):
        parse(OWNER, content)


@given(st.binary(max_size=200), st.integers(0, 600))
def test_no_damage_does_more_than_be_named(noise: bytes, place: int):
    content = dump(OWNER, STORED)
    damaged = content[:place] + noise + content[place + len(noise) :]
    try:
        found = parse(OWNER, damaged)
    except ValueError:
        return
    assert found == STORED


@given(st.text(), st.text(), st.text())
def test_names_are_safe_in_file_names(service: str, kind: str, place: str):
    name = Owner(service, "consul", place).file_name
    assert len(name.encode()) < 255
    assert name.isascii()
    assert not {"/", "\0"} & set(name)
    assert name not in (".", "..")
    assert Owner(service, kind, place).file_name != Owner(service + "x", kind, place).file_name


def test_a_file_is_for_its_owner_alone(tmp_path: Path):
    path = tmp_path / "state" / "web.state"
    save(path, b"one")
    save(path, b"two")
    assert load(path) == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert os.listdir(path.parent) == ["web.state"]


def test_what_cannot_be_put_in_its_place_leaves_nothing_behind(tmp_path: Path):
    (tmp_path / "web.state").mkdir()
    with pytest.raises(OSError, match="directory"):
        save(tmp_path / "web.state", b"one")
    assert os.listdir(tmp_path) == ["web.state"]


def test_there_may_be_no_file(tmp_path: Path):
    assert load(tmp_path / "web.state") is None
    assert load(tmp_path / "none" / "web.state") is None


def test_a_file_that_others_may_have_written_is_not_read(tmp_path: Path):
    path = tmp_path / "web.state"
    save(path, b"one")
    path.chmod(0o620)
    with pytest.raises(ValueError, match="others may write to it"):
        load(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_file_of_another_user_is_not_read(tmp_path: Path):
    path = tmp_path / "web.state"
    save(path, b"one")
    os.chown(path, 65534, 65534)
    try:
        with pytest.raises(ValueError, match="it belongs to another user"):
            load(path)
    finally:
        os.chown(path, 0, 0)


def test_whose_the_folder_is_does_not_matter(tmp_path: Path):
    save(tmp_path / "state" / "web.state", b"one")
    (tmp_path / "state").chmod(0o777)
    assert load(tmp_path / "state" / "web.state") == b"one"


def test_neither_a_link_nor_a_pipe_is_followed(tmp_path: Path):
    save(tmp_path / "elsewhere", b"one")
    (tmp_path / "link.state").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        load(tmp_path / "link.state")
    os.mkfifo(tmp_path / "pipe.state", 0o600)
    with pytest.raises(ValueError, match="it is no file"):
        load(tmp_path / "pipe.state")
