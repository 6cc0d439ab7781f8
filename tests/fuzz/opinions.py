"""What others make of the same bytes: h11, which shares no line with us, and llhttp as a whole, through httptools."""

from __future__ import annotations

from typing import Any

import h11
import httptools

from tests.fuzz.outcome import CLOSED, REFUSED, Fields, Message, Reading

_ENOUGH = 10_000_000  # bytes of a head that h11 holds; where a head is too long is not for it to say


def read_requests(data: bytes) -> Reading:
    """Have h11 read requests, as a server that answers each when it is whole."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_ENOUGH)
    connection.receive_data(data) if data else None
    reading = Reading()
    while True:
        message = _next_message(connection, reading)
        if message is None:
            return reading
        reading.messages.append(message)
        reading.ends.append(len(data) - len(connection.trailing_data[0]))
        connection.send(h11.Response(status_code=404, headers=[("Content-Length", "0")]))  # not 2xx, for CONNECT's sake
        connection.send(h11.EndOfMessage())
        if connection.their_state is not h11.DONE:
            reading.rest = CLOSED
            return reading
        connection.start_next_cycle()


def read_responses(methods: list[bytes], data: bytes, *, ended: bool) -> Reading:
    """Have h11 read the responses to requests of these methods, interim ones among them; `ended`: and then the end."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_ENOUGH)
    connection.receive_data(data) if data else None
    if ended:
        connection.receive_data(b"")
    reading = Reading()
    for method in methods:
        connection.send(h11.Request(method=method, target="/", headers=[("Host", "shop")]))
        connection.send(h11.EndOfMessage())
        interim = True
        while interim:
            message = _next_message(connection, reading)
            if message is None:
                return reading
            reading.messages.append(message)
            reading.ends.append(len(data) - len(connection.trailing_data[0]))
            interim = connection.their_state is h11.SEND_RESPONSE
        if connection.their_state is not h11.DONE:
            break
        connection.start_next_cycle()
    reading.rest = CLOSED
    return reading


def _next_message(connection: h11.Connection, reading: Reading) -> Message | None:
    """Return the next whole message; None, with the reason in `reading`, when there is none."""
    line = b""
    fields: Fields = ()
    content: list[bytes] = []
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            reading.rest, reading.why = REFUSED, str(error)
            return None
        if event is h11.NEED_DATA or event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
            return None
        if isinstance(event, h11.Request):
            line = b"%b %b HTTP/%b" % (event.method, event.target, event.http_version)
            fields = _fields(event.headers)
        elif isinstance(event, h11.InformationalResponse | h11.Response):
            line = b"HTTP/%b %d %b" % (event.http_version, event.status_code, event.reason)
            fields = _fields(event.headers)
            if isinstance(event, h11.InformationalResponse):
                return Message(line, fields)
        elif isinstance(event, h11.Data):
            content.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            return Message(line, fields, b"".join(content), _fields(event.headers))


def _fields(headers: Any) -> Fields:
    return tuple((bytes(name), bytes(value).strip(b" \t")) for name, value in headers)


class _Listening:
    """Puts a message together from what llhttp says."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.parser: Any = None
        self._start = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._head: Fields = ()
        self._content: list[bytes] = []

    def on_url(self, url: bytes) -> None:
        self._start += url

    def on_status(self, status: bytes) -> None:
        self._start += status

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self._head = tuple(self._fields)
        self._fields.clear()

    def on_body(self, body: bytes) -> None:
        self._content.append(body)

    def on_message_complete(self) -> None:
        version = self.parser.get_http_version().encode()
        if isinstance(self.parser, httptools.HttpRequestParser):
            line = b"%b %b HTTP/%b" % (self.parser.get_method(), self._start, version)
        else:
            line = b"HTTP/%b %d %b" % (version, self.parser.get_status_code(), self._start)
        self.messages.append(Message(line, self._head, b"".join(self._content), tuple(self._fields)))
        self._start, self._head, self._content = b"", (), []
        self._fields.clear()


def read_by_llhttp(data: bytes) -> list[Message]:
    """Have llhttp read all of it, requests or responses. It has no way to be told of a HEAD, nor of the stream's end.

    Raises httptools.HttpParserError.
    """
    listening = _Listening()
    kind = httptools.HttpResponseParser if data.startswith(b"HTTP/") else httptools.HttpRequestParser
    listening.parser = kind(listening)
    try:
        listening.parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass  # it has read the message, and would leave what is behind it to another protocol
    return listening.messages
