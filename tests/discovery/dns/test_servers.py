"""Which name server is asked, and what is made of those that misbehave."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
import uvloop

from config.units import Address
from discovery.dns.servers import NameServers, name_servers
from discovery.registry import RegistryError
from tests.discovery.watching import eventually
from tests.servers.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    Behaviour = Callable[[dns.message.Message], list[bytes]]

WEB = dns.name.from_text("web.lan")
TIMEOUT = 0.2  # seconds
_OPEN = "/proc/self/fd"


class Scripted(asyncio.DatagramProtocol):
    """A name server that answers a question by datagrams of its behaviour's choice, and by TCP not at all."""

    address: Address
    transport: Any

    def __init__(self, *behaviours: Behaviour) -> None:
        self.behaviours = list(behaviours)
        self.questions: list[dns.message.Message] = []
        self.asked_from: list[tuple[str, int]] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.address = Address(*transport.get_extra_info("sockname"))

    def datagram_received(self, data: bytes, address: Any) -> None:
        question = dns.message.from_wire(data)
        self.questions.append(question)
        self.asked_from.append(address)
        behaviour = self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]
        for datagram in behaviour(question):
            self.transport.sendto(datagram, address)


@asynccontextmanager
async def scripted(*behaviours: Behaviour) -> AsyncIterator[Scripted]:
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Scripted(*behaviours), local_addr=("127.0.0.1", 0)
    )
    try:
        yield server
    finally:
        transport.close()


def answer(question: dns.message.Message, address: str = "10.0.0.1") -> dns.message.Message:
    response = dns.message.make_response(question)
    response.answer.append(dns.rrset.from_text(question.question[0].name, 5, "IN", "A", address))
    return response


def good(question: dns.message.Message) -> list[bytes]:
    return [answer(question).to_wire()]


def fails(code: dns.rcode.Rcode) -> Behaviour:
    def behaviour(question: dns.message.Message) -> list[bytes]:
        response = dns.message.make_response(question)
        response.set_rcode(code)
        return [response.to_wire()]

    return behaviour


def silent(question: dns.message.Message) -> list[bytes]:
    return []


def truncated(question: dns.message.Message) -> list[bytes]:
    response = answer(question)
    response.flags |= dns.flags.TC
    return [response.to_wire()]


def forged_first(question: dns.message.Message) -> list[bytes]:
    """What comes from elsewhere and guesses wrong, before what is asked for."""
    other_id = answer(question, "6.6.6.6")
    other_id.id = (question.id + 1) % 65536
    other_name = dns.message.make_response(dns.message.make_query("other.lan", "A"))
    other_name.id = question.id
    return [b"", b"\xff" * 40, question.to_wire(), other_id.to_wire(), other_name.to_wire(), *good(question)]


async def ask(servers: NameServers) -> list[str]:
    return [record.address for record in (await servers.ask(WEB, dns.rdatatype.A)).records]


async def test_what_is_asked():
    async with scripted(good) as server:
        assert await ask(NameServers([server.address], TIMEOUT)) == ["10.0.0.1"]
    (question,) = server.questions
    assert question.flags & dns.flags.RD
    assert (question.edns, question.payload) == (0, 1232)
    assert question.question[0].to_text() == "web.lan. IN A"


async def test_neither_the_number_nor_the_port_of_a_question_can_be_foreseen():
    async with scripted(good) as server:
        servers = NameServers([server.address], TIMEOUT)
        for _ in range(10):
            await ask(servers)
    assert len({question.id for question in server.questions}) > 5
    assert len({port for _, port in server.asked_from}) > 5


async def test_datagrams_that_answer_something_else_are_passed_over():
    async with scripted(forged_first) as server:
        assert await ask(NameServers([server.address], TIMEOUT)) == ["10.0.0.1"]


async def test_a_lost_datagram_costs_a_wait_and_no_error():
    async with scripted(silent, good) as server:
        assert await ask(NameServers([server.address], TIMEOUT)) == ["10.0.0.1"]
    assert len(server.questions) == 2


@pytest.mark.parametrize("code", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP, dns.rcode.FORMERR])
async def test_a_server_that_fails_is_asked_last_from_then_on(code: dns.rcode.Rcode):
    async with scripted(fails(code)) as one, scripted(good) as two:
        servers = NameServers([one.address, two.address], TIMEOUT)
        assert servers.preferred == one.address
        assert await ask(servers) == ["10.0.0.1"]
        assert servers.preferred == two.address
        await ask(servers)
    assert (len(one.questions), len(two.questions)) == (1, 2)


async def test_what_each_server_said_is_told_when_none_answered():
    nobody = Address("127.0.0.1", free_port())
    async with scripted(fails(dns.rcode.SERVFAIL)) as one, scripted(silent) as two:
        with pytest.raises(RegistryError) as caught:
            await ask(NameServers([one.address, two.address, nobody], TIMEOUT))
    assert str(caught.value).startswith(
        f"web.lan A: {one.address}: SERVFAIL; {two.address}: no answer within 0.2 s; {nobody}: "
    )
    assert "Connection refused" in str(caught.value)
    assert (len(one.questions), len(two.questions)) == (1, 2)


async def test_a_truncated_answer_is_none_when_tcp_fails():
    async with scripted(truncated) as server:
        with pytest.raises(RegistryError, match=r"web\.lan A: 127.*: .*(Connect call failed|Connection refused)"):
            await ask(NameServers([server.address], TIMEOUT))


async def test_questions_that_fail_together_put_a_server_last_once():
    async with scripted(fails(dns.rcode.SERVFAIL)) as one, scripted(good) as two, scripted(good) as three:
        servers = NameServers([one.address, two.address, three.address], TIMEOUT)
        await asyncio.gather(*(ask(servers) for _ in range(5)))
        assert servers.preferred == two.address


async def test_a_few_questions_are_asked_at_a_time():
    async with scripted(silent) as server:
        servers = NameServers([server.address], 5)
        tasks = [asyncio.ensure_future(ask(servers)) for _ in range(50)]
        async with asyncio.timeout(5):
            while len(server.questions) < 20:  # noqa: ASYNC110  # a datagram sets no event
                await asyncio.sleep(0.01)
        await asyncio.wait(tasks, timeout=0.05)
        assert len(server.questions) == 20
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("", []),
        ("# nameserver 10.0.0.1\n;nameserver 10.0.0.2\nsearch lan\noptions rotate\nnameserver", []),
        ("nameserver 10.0.0.2\nnameserver  fd00::2 # ours\n", ["10.0.0.2:53", "[fd00::2]:53"]),
        ("nameserver 10.0.0.2\nnameserver ns1\nnameserver 10.0.0.2\n", ["10.0.0.2:53"]),
    ],
)
def test_name_servers_of_the_system(text: str, servers: list[str]):
    assert [str(server) for server in name_servers(text)] == servers


async def test_the_system_file_is_read_again_when_it_changes(tmp_path: Path):
    path = tmp_path / "resolv.conf"
    async with scripted(good) as one, scripted(good) as two:
        servers = NameServers([], TIMEOUT, resolv_conf=path)
        for server in (one, one, two):
            # A port is no part of the format, but the tests cannot have port 53.
            path.write_text(f"nameserver {server.address}\n")
            assert await ask(servers) == ["10.0.0.1"]
            assert servers.preferred == server.address
        os.replace(path, tmp_path / "gone")
        with pytest.raises(RegistryError, match=r"resolv\.conf cannot be read: No such file"):
            await ask(servers)
        path.write_text("search lan\n")
        with pytest.raises(RegistryError, match=r"resolv\.conf names no name server"):
            await ask(servers)
    assert (len(one.questions), len(two.questions)) == (2, 1)


@pytest.mark.filterwarnings("default::ResourceWarning")  # as an error it would keep uvloop's loop from ever closing
def test_a_question_that_is_called_off_while_its_socket_is_made_leaves_none_open():
    """With uvloop, whose `create_datagram_endpoint` does."""

    async def call_off() -> None:
        async with scripted(silent) as server:
            for _ in range(20):
                before = len(os.listdir(_OPEN))
                asking = asyncio.ensure_future(NameServers([server.address], TIMEOUT).ask(WEB, dns.rdatatype.A))
                while _are_open(before):  # noqa: ASYNC110  # what it looks at sets no event
                    await asyncio.sleep(0)
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
                await eventually(partial(_are_open, before))

    uvloop.run(call_off())


def _are_open(count: int) -> bool:
    return len(os.listdir(_OPEN)) == count
