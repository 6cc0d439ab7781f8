"""The answer to an HTTP request of ours, read no further than it is wanted: its status, and how its body begins."""

from __future__ import annotations

import httptools

LONGEST_HEAD = 64 * 1024  # bytes, those of interim answers among them


class MalformedError(Exception):
    """What came is no answer; the text says why."""


class Answer:
    """Takes in what came on a connection on which one request was sent; it does no I/O.

    `status` is 0 until the head has come; interim answers (RFC 9110 15.2) are none. `content` is what there is of the
    body, and `whole` says that no more will come. `bodiless` is an answer to HEAD.
    """

    def __init__(self, *, bodiless: bool = False) -> None:
        self.status = 0
        self.content = bytearray()
        self.whole = False
        self._bodiless = bodiless
        self._framed = False  # the head says where the body ends; if not, the connection's end is its own
        self._head = 0  # bytes until the head has come
        self._parser = httptools.HttpResponseParser(self)

    def received(self, data: bytes) -> None:
        """Take in bytes. Raises MalformedError."""
        if not self.status:
            self._head += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.whole = True  # 101: what follows is no HTTP
        except httptools.HttpParserError as error:
            if not self.whole:  # what comes after the answer is nobody's concern
                raise MalformedError(str(error)) from None
        if not self.status and self._head > LONGEST_HEAD:
            raise MalformedError(f"its head is longer than {LONGEST_HEAD // 1024} KiB")

    def ended(self) -> bool:
        """Take in that the connection has ended; tell whether the answer is whole."""
        self.whole = self.whole or bool(self.status and not self._framed)
        return self.whole

    # Called by the parser.

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._framed = True

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            return
        self.status = status
        self.whole = self.whole or self._bodiless

    def on_body(self, body: bytes) -> None:
        if not self._bodiless:
            self.content += body

    def on_message_complete(self) -> None:
        if self.status:
            self.whole = True
        else:
            self._framed = False
