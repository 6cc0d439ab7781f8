"""A bound address whose connections go to instances as they are."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from proxy.access_log.record import Record
from proxy.listening import Listening
from proxy.tcp.client import Client, Plain, opening_of

if TYPE_CHECKING:
    from config.units import Bind
    from proxy.access_log.access_log import AccessLog
    from proxy.http.terms import Terms
    from proxy.listener import ListenerOptions
    from proxy.proxy_protocol import Ends
    from proxy.tcp.conversation import Conversation
    from proxy.tcp.names import Names
    from proxy.tls.certificates import Certificates


class TcpListener(Listening[Client]):
    """Accepts clients on one address, whatever they speak.

    `names` says which service gets them; where it has names, each client's TLS hello is read first. `drain_timeout` is
    how many seconds a connection may go on once its endpoint is drained.
    """

    _made_of_keys = (*Listening._made_of_keys, "names", "_drain_timeout")

    def __init__(
        self,
        bind: Bind,
        names: Names[Terms],
        options: ListenerOptions,
        drain_timeout: float,
        log: AccessLog | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        super().__init__(bind, options, log, certificates)
        self.names = names
        self._drain_timeout = drain_timeout

    def _client(self, proxied: Ends | None) -> Client:
        return Client(self, proxied)

    def _plain(self, proxied: Ends | None) -> Client:
        return Plain(self, proxied)

    def sweep(self, now: float) -> None:
        """Do what every listener does, and mind whose endpoints are drained."""
        for client in self._clients:
            client.mind_drain(now, self._drain_timeout)
        super().sweep(now)

    def log_conversation(
        self, conversation: Conversation, duration: float, downstream_end: str, upstream_end: str, error: str
    ) -> None:
        """Write a connection that has ended into the access log, if there is one."""
        log, pipe = self._log, conversation.pipe
        if log is None:
            return
        record = self._record(conversation.client)
        record.duration = duration
        record.time -= duration
        record.service = conversation.service.name
        record.endpoint, record.address = conversation.name, conversation.address
        record.attempts, record.request = conversation.attempts, conversation.opening
        if pipe is not None:
            record.received, record.sent = pipe.received, pipe.sent
        record.first_byte = conversation.first_byte
        record.downstream_end, record.upstream_end, record.error = downstream_end, upstream_end, error
        log.write(record)

    def log_refusal(self, client: Client, name: str, downstream_end: str, error: str) -> None:
        """Write a connection that got no further than here into the access log, if there is one."""
        if self._log is not None:
            record = self._record(client)
            record.request = opening_of(client.origin, name)
            record.downstream_end, record.error = downstream_end, error
            self._log.write(record)

    def _record(self, client: Client) -> Record:
        record = Record()
        record.raw = True
        record.time = time.time()
        record.client = client.origin.address
        record.listener = self._name
        record.note_tls(client.origin.secured)
        return record
