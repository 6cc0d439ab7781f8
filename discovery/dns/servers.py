"""Ask name servers, in turn, until one of them answers."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dns.asyncbackend
import dns.asyncquery
import dns.exception
import dns.message
import dns.name
import dns.rdatatype

from config.texts import parse_name_server
from discovery.dns.answers import read
from discovery.registry import RegistryError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from config.units import Address
    from discovery.dns.answers import Answer

RESOLV_CONF = Path("/etc/resolv.conf")
ATTEMPTS = 2  # times that a server is asked that gives no answer: a datagram may get lost
AT_A_TIME = 20  # questions; a service with hundreds of targets is no reason to flood a name server
# Bytes of a datagram that passes everywhere unfragmented (https://www.dnsflagday.net/2020/); longer answers take TCP.
PAYLOAD = 1232
# Consul fills a datagram with as many instances as fit, others each time, and does not say that there are more. So an
# answer that would have no room for another record (and its target's address) is asked for again by TCP.
ROOM_FOR_ONE_MORE = 256  # bytes

_backend = dns.asyncbackend.get_backend("asyncio")


class NameServers:
    """The name servers at `addresses`, or those that the file `resolv_conf` names when it is asked.

    The one that answered last is asked first; one that does not answer goes to the end of the row. `timeout` is how
    many seconds each may take, TCP included.
    """

    def __init__(self, addresses: Sequence[Address], timeout: float, *, resolv_conf: Path = RESOLV_CONF) -> None:
        self._addresses = list(addresses)
        self._resolv_conf = None if addresses else resolv_conf
        self._timeout = timeout
        self._read_at: tuple[int, ...] = ()
        self._places = asyncio.Semaphore(AT_A_TIME)

    @property
    def preferred(self) -> Address | None:
        """The server that is asked first; another one may know other things."""
        return self._addresses[0] if self._addresses else None

    async def ask(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> Answer:
        """Return the records of `name`. Raises RegistryError, which says what each server answered, when none did."""
        async with self._places:
            self._look_at_file()
            complaints: dict[Address, str] = {}
            answered: set[Address] = set()  # with an error, which would be the same again
            for _ in range(ATTEMPTS):
                for server in list(self._addresses):
                    if server in answered:
                        continue
                    try:
                        async with asyncio.timeout(self._timeout):
                            return read(await _exchange(server, name, kind))
                    except TimeoutError:
                        complaints[server] = f"no answer within {self._timeout:g} s"
                    except (OSError, EOFError, ValueError, dns.exception.DNSException) as error:
                        complaints[server] = " ".join(str(error).split()) or type(error).__name__
                        answered.add(server)
                    self._put_last(server)
        what = f"{name.to_text(omit_final_dot=True)} {kind.name}"
        said = "; ".join(f"{server}: {complaint}" for server, complaint in complaints.items())
        raise RegistryError(f"{what}: {said}")

    def _put_last(self, server: Address) -> None:
        if self._addresses[0] == server:  # else one of several questions that failed together has done it
            self._addresses = [*self._addresses[1:], server]

    def _look_at_file(self) -> None:
        """Read the file if it is another than it was."""
        path = self._resolv_conf
        if path is None:
            return
        try:
            status = path.stat()
            signature = status.st_mtime_ns, status.st_ino, status.st_size
            if signature == self._read_at:
                return
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise RegistryError(f"{path} cannot be read: {error.strerror}") from error
        self._addresses = name_servers(text)
        if not self._addresses:
            raise RegistryError(f"{path} names no name server")
        self._read_at = signature


def name_servers(resolv_conf: str) -> list[Address]:
    """Return the name servers that a text in the form of resolv.conf(5) names; what is no address is passed over."""
    found: list[Address] = []
    for line in resolv_conf.splitlines():
        match line.split():
            case ["nameserver", word, *_]:
                try:
                    found.append(parse_name_server(word))
                except ValueError:
                    continue
    return list(dict.fromkeys(found))


async def _exchange(server: Address, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> dns.message.Message:
    """Ask one server, by UDP from a port of its own, and by TCP if the answer is or may be too long for that."""
    query = dns.message.make_query(name, kind, use_edns=0, payload=PAYLOAD)
    connected = await _connect(server)
    async with connected:
        try:
            response = await dns.asyncquery.udp(
                query, server.host, port=server.port, sock=connected, ignore_errors=True, raise_on_truncation=True
            )
        except dns.message.Truncated:
            pass
        else:
            if len(response.wire or b"") <= PAYLOAD - ROOM_FOR_ONE_MORE:
                return response
    return await dns.asyncquery.tcp(query, server.host, port=server.port, backend=_backend)


async def _connect(server: Address) -> Any:
    """Make a connected socket: it takes datagrams of this server only, and is told at once when nobody listens there.

    It is made in a task of its own, that goes on: cancelled, uvloop's `create_datagram_endpoint` leaves a socket open.
    """
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    place = server.host, server.port
    made = _backend.make_socket(family, socket.SOCK_DGRAM, destination=place)  # type: ignore[no-untyped-call]
    making: asyncio.Task[Any] = asyncio.ensure_future(made)
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        making.add_done_callback(_close)
        raise


def _close(making: asyncio.Task[Any]) -> None:
    if not making.cancelled() and making.exception() is None:
        making.result().transport.close()
