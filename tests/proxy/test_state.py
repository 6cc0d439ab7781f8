"""What pointsman knew the last time, in a process that starts while its registry is away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from config.load import parse
from tests.proxy.running import instance, running, until
from tests.servers.document import DocumentServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "a-secret-that-nobody-sees"


@pytest.fixture
def document() -> Iterator[DocumentServer]:
    server = DocumentServer()
    server.start()
    yield server
    server.stop()


def config(document: DocumentServer, **more: Any) -> dict[str, Any]:
    http = {"url": document.url, "interval": "100ms", "token": SECRET, "headers": {"X-Key": SECRET}}
    return {"services": {"web": {"discovery": {"http": http}}}, "state_dir": "state", **more}


async def known(document: DocumentServer, folder: Path, targets: list[str]) -> None:
    """Let one pointsman learn of these instances, and end."""
    document.document = [{"targets": targets}]
    async with running(config(document), folder) as pointsman:
        await until(lambda: not pointsman.application.unready())
    assert len(list((folder / "state").iterdir())) == 1


async def test_it_serves_and_says_so_and_is_not_ready(document: DocumentServer, tmp_path: Path) -> None:
    async with instance("a") as a:
        await known(document, tmp_path, [a])
        document.document = None
        async with running(config(document), tmp_path) as pointsman:
            keeper = pointsman.application.services["web"].sources[0].keeper
            await until(lambda: keeper.error)
            assert await pointsman.get() == (200, "a")
            status, body = await pointsman.admin("/readyz")
            assert status == 503
            assert body["reasons"][0].startswith("service web: no snapshot from http yet: http://127.0.0.1:")
            assert body["reasons"][0].endswith("; the stored one is in use")
            _, shown = await pointsman.admin("/api/v1/services/web")
            assert shown["registry"]["stored"] is True
            document.document = [{"targets": [a, "127.0.0.1:9"]}]
            await until(lambda: not pointsman.application.unready())
            await until(lambda: not keeper.stored)
            assert len(keeper.current.instances) == 2  # type: ignore[union-attr]


async def test_it_is_ready_if_so_configured(document: DocumentServer, tmp_path: Path) -> None:
    await known(document, tmp_path, ["127.0.0.1:9"])
    document.document = None
    async with running(config(document, ready_from_state=True), tmp_path) as pointsman:
        await until(lambda: pointsman.application.services["web"].sources[0].keeper.error)
        assert pointsman.application.unready() == []


async def test_a_set_that_is_too_old_is_not_used(document: DocumentServer, tmp_path: Path) -> None:
    await known(document, tmp_path, ["127.0.0.1:9"])
    document.document = None
    async with running(config(document, state_max_age="1ms"), tmp_path) as pointsman:
        await until(lambda: pointsman.application.services["web"].sources[0].keeper.error)
        assert not pointsman.application.services["web"].pool.endpoints
        _, body = await pointsman.admin("/api/v1/events")
        assert body["events"][0]["kind"] == "state_unusable"


async def test_a_damaged_file_is_no_reason_not_to_start(document: DocumentServer, tmp_path: Path) -> None:
    await known(document, tmp_path, ["127.0.0.1:9"])
    (file,) = (tmp_path / "state").iterdir()
    file.write_bytes(file.read_bytes()[:-7])
    async with running(config(document), tmp_path) as pointsman:
        await until(lambda: not pointsman.application.unready())
        _, body = await pointsman.admin("/api/v1/events")
        assert "it is damaged: its checksum does not fit" in body["events"][0]["reason"]


async def test_a_folder_that_cannot_be_written_is_no_reason_either(document: DocumentServer, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    document.document = [{"targets": ["127.0.0.1:9"]}]
    async with running(config(document), tmp_path) as pointsman:
        await until(lambda: not pointsman.application.unready())
        state = pointsman.application.state
        assert state is not None
        await until(lambda: state.failed)
        _, metrics = await pointsman.admin("/metrics")
        assert 'pointsman_state_writes_total{result="failed"} 1.0' in metrics


async def test_no_secret_gets_there(document: DocumentServer, tmp_path: Path) -> None:
    await known(document, tmp_path, ["127.0.0.1:9"])
    (file,) = (tmp_path / "state").iterdir()
    assert SECRET not in file.name + file.read_text()
    assert "127.0.0.1:9" in file.read_text()


async def test_what_is_written_down_by_the_user_is_not_written_again(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("[127.0.0.1:9]")
    services = {"web": {"discovery": [{"static": ["127.0.0.1:10"]}, {"file": "more.yaml"}]}}
    async with running({"services": services, "state_dir": "state"}, tmp_path) as pointsman:
        await until(lambda: not pointsman.application.unready())
    assert not (tmp_path / "state").exists()


def place(discovery: str, folder: Path) -> str:
    text = f'listeners: [{{bind: ":1"}}]\nroutes: [{{service: web}}]\nservices: {{web: {{discovery: {discovery}}}}}'
    (source,) = parse(text, name="test", folder=folder, environ={}).services["web"].sources
    return source.place


def test_a_file_belongs_to_what_is_asked_for_and_not_to_how(tmp_path: Path) -> None:
    plain = place("{consul: {service: web}}", tmp_path)
    assert place('{consul: {service: web, address: "http://127.0.0.1:8500", token: t}}', tmp_path) == plain
    assert place("[{consul: {service: web, token_file: t}, weight: 3, priority: 1}]", tmp_path) == plain
    others = [
        "{consul: {service: shop}}",
        "{consul: {service: web, datacenter: b}}",
        "{consul: {service: web, tags: [x]}}",
        '{consul: {service: web, address: "http://10.0.0.1:8500"}}',
        "{etcd: {prefix: /web/}}",
    ]
    assert len({plain, *(place(other, tmp_path) for other in others)}) == 1 + len(others)
