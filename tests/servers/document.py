"""A web server that holds one JSON document, in a thread of this process."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.servers.ports import free_port


class _Server(ThreadingHTTPServer):
    """Knows its connections: those that are kept would be answered after its end."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._connections: set[socket.socket] = set()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        for connection in list(self._connections):
            with suppress(OSError):  # it may be closed by now
                connection.shutdown(socket.SHUT_RDWR)


class DocumentServer:
    """Gives the document of the moment to whoever asks, with an ETag of its content and a 304 where that is known.

    `document` is what it answers with from now on; None is a 503. Once there is a `token`, nothing is given to those
    who do not show it. `statuses` are those of its answers. It has the same port after each start.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.document: Any = []
        self.token = ""
        self.statuses: list[int] = []
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/targets.json"

    def start(self) -> None:
        self._server = _Server(("127.0.0.1", self.port), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server.close_connections()
            self._server = None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        holder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def do_GET(self) -> None:
                content = json.dumps(holder.document).encode()
                tag = f'"{hashlib.sha256(content).hexdigest()}"'
                status = HTTPStatus.OK
                if holder.token and self.headers["Authorization"] != f"Bearer {holder.token}":
                    status, content = HTTPStatus.UNAUTHORIZED, b"who are you?"
                elif holder.document is None:
                    status, content = HTTPStatus.SERVICE_UNAVAILABLE, b"maintenance"
                elif self.headers["If-None-Match"] == tag:
                    status, content = HTTPStatus.NOT_MODIFIED, b""
                holder.statuses.append(status)
                self.send_response(status)
                self.send_header("ETag", tag)
                if status != HTTPStatus.NOT_MODIFIED:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """Keep the tests' output free of a line a request."""

        return Handler
