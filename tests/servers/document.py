"""A web server that holds one JSON document, in a thread of this process."""

from __future__ import annotations

import hashlib
import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class DocumentServer:
    """Gives the document of the moment to whoever asks, with an ETag of its content and a 304 where that is known.

    `document` is what it answers with from now on; None is a 503. `statuses` are those of its answers.
    """

    def __init__(self) -> None:
        self.document: Any = []
        self.statuses: list[int] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/targets.json"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        holder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def do_GET(self) -> None:
                content = json.dumps(holder.document).encode()
                tag = f'"{hashlib.sha256(content).hexdigest()}"'
                status = HTTPStatus.OK
                if holder.document is None:
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
