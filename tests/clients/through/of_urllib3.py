"""urllib3: each class of its tests starts a server of its own, under hypercorn."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from through import PORT, URL, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

_POOL = "test/with_dummyserver/test_poolmanager.py::TestPoolManager"
_PROXY_AUTHORIZATION = "expects Proxy-Authorization to arrive, which a proxy keeps to itself"
_OUR_FIELDS = "expects no field but its own to arrive, and there are X-Forwarded-For and others of ours"
LEFT_OUT = {
    "test/with_dummyserver/test_connectionpool.py::TestConnectionPool::test_stream_keepalive":
        "expects the chunks as they were cut, which a proxy may cut anew (RFC 9112 7.1)",
    "test/with_dummyserver/test_connectionpool.py::TestConnectionPool::test_source_address_error":
        "fails without us where any address may be bound to, as ip_nonlocal_bind allows",
    f"{_POOL}::test_redirect_cross_host_no_remove_headers": _PROXY_AUTHORIZATION,
    f"{_POOL}::test_redirect_cross_host_set_removed_headers": _PROXY_AUTHORIZATION,
    f"{_POOL}::test_headers_http_header_dict": _OUR_FIELDS,
    f"{_POOL}::test_merge_headers_with_pool_manager_headers": _OUR_FIELDS,
    f"{_POOL}::test_headers_http_multi_header_multipart": _OUR_FIELDS,
}  # fmt: skip


def asks_elsewhere(item: Any) -> str:
    from dummyserver import testcase

    if item.cls is None or not issubclass(item.cls, testcase.HypercornDummyServerTestCase):
        return "asks no HTTP server, or one of its own making"
    if issubclass(item.cls, testcase.HTTPSHypercornDummyServerTestCase):
        return "asks over TLS"
    if issubclass(item.cls, testcase.IPv6HypercornDummyServerTestCase):
        return "asks over IPv6"
    return ""


def pytest_configure(config: pytest.Config) -> None:
    from dummyserver import hypercornserver, testcase

    def listen(self: Any, bind: str) -> list[socket.socket]:
        sock = socket.create_server(("127.0.0.1", PORT))
        sock.setblocking(False)
        return [sock]

    run = hypercornserver.run_hypercorn_in_thread

    @contextlib.contextmanager
    def run_behind(*arguments: Any) -> Iterator[int | None]:
        with run(*arguments):
            yield urlsplit(URL).port

    # It would wait for connections to be closed that pointsman keeps for the next request.
    hypercornserver.Config.graceful_timeout = 0.0
    hypercornserver.Config._create_urllib3_sockets = listen
    testcase.run_hypercorn_in_thread = run_behind
    config.pluginmanager.register(Record(asks_elsewhere, LEFT_OUT))
