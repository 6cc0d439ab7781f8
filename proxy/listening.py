"""What every listener does, whatever its clients speak: accept them, count them, end what waits for too long."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, Self, TypeVar, cast

from mypy_extensions import mypyc_attr

from proxy.acceptor import Acceptor, Held
from proxy.edge.guard import DENIED
from proxy.http.answers import refusal
from proxy.proxied import Proxied
from proxy.sockets import change_mode, listen, remove_socket
from proxy.tls.handshakes import Handshakes

if TYPE_CHECKING:
    import socket
    from collections.abc import Collection, Sequence

    from config.units import Bind
    from proxy.access_log.access_log import AccessLog
    from proxy.edge.access import Access
    from proxy.http.answers import Answer
    from proxy.http.forwarding import Origin
    from proxy.listener import ListenerOptions
    from proxy.proxy_protocol import Ends
    from proxy.tls.certificates import Certificates

LAST_CHANCE = 1.0  # seconds that those have when a listener drains who have said nothing yet
_REFUSED_AT_ONCE = 256  # clients too many that are being told so
_ROOM_AT_ONCE = 64  # idle connections closed at each sweep while descriptors are short


class Connected(Protocol):
    """A client's connection, as its listener sees it."""

    deadline: float
    expires: float
    transport: asyncio.Transport
    origin: Origin

    @property
    def paused(self) -> bool: ...
    @property
    def idle(self) -> bool: ...
    def drain(self) -> None: ...
    def say_goodbye(self) -> None: ...
    def timed_out(self, now: float, /) -> None: ...
    def is_gone(self) -> bool: ...
    def abort(self) -> None: ...


C = TypeVar("C", bound=Connected)


@mypyc_attr(allow_interpreted_subclasses=True)
class Listening(Generic[C]):
    """Accepts clients on one address; how they are served is the subclass's."""

    # What is made of its keys, and is taken over from a listener that was made of other ones.
    _made_of_keys: ClassVar[tuple[str, ...]] = ("access", "options", "timeouts", "_log")

    def __init__(
        self, bind: Bind, options: ListenerOptions, log: AccessLog | None, certificates: Certificates | None
    ) -> None:
        self.bind = bind
        self.options = options
        self.timeouts = options.timeouts
        self.certificates = certificates
        self.handshakes = Handshakes(certificates, options.timeouts.request_head) if certificates is not None else None
        self.proxied = Proxied(options.proxies, options.timeouts.request_head) if options.proxies else None
        self.access: Access | None = None  # who may connect; None: everybody
        self.draining = False
        self.accepted = 0  # connections, since the start
        self.refused = 0  # requests or connections that no instance was asked: malformed, or without a route
        self.answered = [0] * 6  # requests answered here as they were to be, by the first digit of the status
        self.overflowed = 0  # connections refused for being one too many
        self._log = log
        self._name = str(bind)
        self._clients: set[C] = set()
        self._refusing: set[C] = set()  # those of them that are one too many
        self._unwanted: set[C] = set()  # those who were let in, and would not be by now
        self._by_address: Counter[str] = Counter()  # those let in; only where they are limited
        self._acceptor: Acceptor | None = None
        self.lent = False  # the sockets are somebody else's too, who goes on listening when we end
        self.clients_elsewhere = self.exhausted_elsewhere = 0  # in other processes, for those who look

    @property
    def clients(self) -> int:
        """How many clients are connected."""
        return len(self._clients) + self._waiting + self.clients_elsewhere

    @property
    def exhausted(self) -> int:
        """How often accepting had to pause for want of file descriptors."""
        return (self._acceptor.exhausted if self._acceptor else 0) + self.exhausted_elsewhere

    @property
    def started(self) -> bool:
        """True once it has begun to accept clients."""
        return self._acceptor is not None

    @property
    def ports(self) -> list[int]:
        """The ports bound, for a configuration that asked for any."""
        return self._acceptor.ports if self._acceptor else []

    @property
    def address(self) -> str:
        """Where it listens; with the port that it got, if it asked for any."""
        ports = self.ports
        return str(replace(self.bind, port=ports[0])) if ports else str(self.bind)

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """The sockets that it listens on; none before it does and once it drains."""
        return self._acceptor.sockets if self._acceptor else ()

    async def start(self) -> None:
        """Bind and accept. Raises BindError."""
        self.accept(await asyncio.to_thread(listen, self.bind, self.options.mode))  # a name may have to be looked up

    def accept(self, sockets: Sequence[socket.socket], *, lent: bool = False, copied: bool = False) -> None:
        """Accept on sockets that listen already; `lent` by somebody who goes on listening when we end.

        Of `copied` ones the control process has copies; see Acceptor.
        """
        self.lent = lent
        self._acceptor = Acceptor(sockets, self._serve, copied=copied)
        self._acceptor.start()
        self._name = self.address

    def hold(self, sockets: Sequence[socket.socket], *, lent: bool = False) -> None:
        """Keep sockets open on which other processes accept."""
        self.lent = lent
        self._acceptor = Held(sockets, self._serve)
        self._name = self.address

    def adopt(self, other: Self) -> None:
        """Treat clients from now on as one would that was made of other keys and has none itself.

        What was asked before ends under what it began with. Both speak TLS, or neither does.
        """
        if self.certificates is not None and other.certificates is not None and self.handshakes is not None:
            if self.certificates.options != other.certificates.options:
                other.certificates.go_on_from(self.certificates)
                self.certificates = other.certificates
            self.handshakes.go_by(self.certificates, other.timeouts.request_head)
        if self.proxied is None or other.proxied is None:
            self.proxied = other.proxied
        else:
            self.proxied.adopt(other.proxied)
        for name in self._made_of_keys:
            setattr(self, name, getattr(other, name))
        if self.bind.path:
            change_mode(self.bind.path, self.options.mode)
        self._by_address.clear()
        limited = self.options.connections_per_client
        for client in self._clients:
            self._renew(client)
            address = client.origin.address
            if limited and address and client not in self._refusing:
                self._by_address[address] += 1
        access = self.access
        self._unwanted = {one for one in self._clients if access and not access.admits(one.origin.address)}
        self._turn_out()

    def _turn_out(self) -> None:
        """Have those leave who would not be let in any more, with an answer to what is under way."""
        self._unwanted &= self._clients
        for client in list(self._unwanted):
            if client.idle:
                client.abort()
            else:
                client.drain()

    def _renew(self, client: C) -> None:
        """Treat a client that is connected already as its listener does now."""

    async def _serve(self, sock: socket.socket) -> None:
        """Begin to speak with a client. An OSError is a connection that ended as it began."""
        proxied = await self.proxied.read(sock) if self.proxied is not None else None
        if self.handshakes is None:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: cast("asyncio.Protocol", self._client(proxied)), sock
            )
            return
        peer = sock.getpeername() if proxied is None else proxied.source
        address = peer[0] if isinstance(peer, tuple) else ""
        if not self._has_room(address, self.handshakes):
            self.overflowed += 1
            sock.close()  # to tell it why would take the handshake that there is no room for
            return
        client = cast("asyncio.Protocol", self._client(proxied))
        await self.handshakes.shake(sock, address, client, lambda: cast("asyncio.Protocol", self._plain(proxied)))

    def _client(self, proxied: Ends | None) -> C:
        """Return the protocol for a client; `proxied` is what a PROXY header said of it."""
        raise NotImplementedError

    def _plain(self, proxied: Ends | None) -> C:
        """Return the protocol for a client that does not speak the TLS which is spoken here."""
        raise NotImplementedError

    def _has_room(self, address: str, handshakes: Handshakes) -> bool:
        """Tell whether one more handshake is within the limits on connections, of which it will be one."""
        options = self.options
        if options.connections and len(self._clients) + len(handshakes) >= options.connections:
            return False
        most = options.connections_per_client if address else 0
        return not most or self._by_address[address] + handshakes.of_address(address) < most

    @property
    def inodes(self) -> set[int]:
        """What tells the sockets that it listens on from others, and is the same for copies of them."""
        return self._acceptor.inodes if self._acceptor is not None else set()

    def leave(self, inodes: Collection[int]) -> None:
        """Accept no more on those sockets that others accept on too, who go on."""
        if self._acceptor is not None:
            self._acceptor.leave(inodes)

    def drain(self) -> None:
        """Accept nobody any more, and let those connected go once they are answered."""
        self.draining = True
        if self._acceptor is not None and self._acceptor.close(shared=self.lent) and self.bind.path and not self.lent:
            remove_socket(self.bind.path)
        for client in list(self._clients):
            client.drain()
        if self.proxied is not None or self.handshakes is not None:
            # Who has just been accepted may have something on its way, as one that is idle.
            asyncio.get_running_loop().call_later(LAST_CHANCE, self._cut_silent)

    @property
    def _waiting(self) -> int:
        """How many are not clients yet."""
        waiting = len(self.proxied) if self.proxied is not None else 0
        return waiting + (len(self.handshakes) if self.handshakes is not None else 0)

    def _cut_silent(self) -> None:
        if self.proxied is not None:
            self.proxied.cut()
        if self.handshakes is not None:
            self.handshakes.cut(silent=True)

    def say_goodbye(self) -> None:
        """Ask those to leave whose connections are tunnels."""
        for client in list(self._clients):
            client.say_goodbye()

    def abort(self) -> None:
        """Close every connection, answered or not."""
        if self.proxied is not None:
            self.proxied.cut()
        if self.handshakes is not None:
            self.handshakes.cut()
        for client in list(self._clients):
            client.abort()

    def sweep(self, now: float) -> None:
        """End the waits whose deadline has passed, and those for clients who left while they were not read from."""
        overdue = [
            client for client in self._clients if client.deadline <= now or client.paused or client.expires <= now
        ]
        for client in overdue:
            if client.deadline <= now or client.expires <= now:
                client.timed_out(now)
            elif client.is_gone():
                client.abort()
        if self._unwanted:
            self._turn_out()
        if self._acceptor is not None and self._acceptor.paused:
            self._make_room()
            self._acceptor.resume()

    def joined(self, client: C) -> Answer | None:
        """Count a client in; return the answer that it gets instead when it must be refused."""
        self.accepted += 1
        self._clients.add(client)
        if self.handshakes is not None:
            self.handshakes.joined(client)
        options = self.options
        address = client.origin.address
        if self.access is not None and not self.access.admits(address):
            return self._refuse(client, 403, DENIED)
        most = options.connections_per_client if address else 0
        if most and self._by_address[address] >= most:
            return self._refuse(client, 503, f"more than {most} connections of one client")
        if options.connections and len(self._clients) - len(self._refusing) > options.connections:
            return self._refuse(client, 503, f"more than {options.connections} connections")
        if most:
            self._by_address[address] += 1
        return None

    def left(self, client: C) -> None:
        """Count a client out."""
        self._clients.discard(client)
        if client in self._refusing:
            self._refusing.discard(client)
            return
        address = client.origin.address
        if self.options.connections_per_client and address:
            self._by_address[address] -= 1
            if self._by_address[address] <= 0:
                del self._by_address[address]

    def _refuse(self, client: C, status: int, reason: str) -> Answer:
        self.overflowed += status == 503
        self._refusing.add(client)
        if len(self._refusing) > _REFUSED_AT_ONCE:
            client.transport.abort()  # a crowd that is turned away gets no answer each
        return refusal(status, reason)

    def _make_room(self) -> None:
        """Close some idle connections: the descriptors are worth more to those who wait to be accepted."""
        idle = (client for client in self._clients if client.idle)
        for client in list(islice(idle, _ROOM_AT_ONCE)):
            client.abort()
