"""An acceptor in a process with few file descriptors, which tells on its output what it is asked on its input.

Its connections get back what they send. `leave` lowers the limit so that only so many descriptors are left, and
accept(2) itself runs out of them; `sweep` has the acceptor look whether there are some again. Each is answered with
its state.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from functools import partial
from typing import cast

import uvloop

from config.units import Bind
from proxy.acceptor import Acceptor
from proxy.sockets import listen


class Echo(asyncio.Protocol):
    """Sends back what it gets."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


async def main() -> None:
    loop = asyncio.get_running_loop()
    acceptor = Acceptor(listen(Bind("127.0.0.1", 0)), partial(loop.connect_accepted_socket, Echo))
    acceptor.start()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print(acceptor.ports[0], flush=True)
    while words := (await reader.readline()).split():
        if words[0] == b"leave":
            lowest_free = os.dup(0)
            os.close(lowest_free)
            _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + int(words[1]), hard))
        elif words[0] == b"sweep" and acceptor.paused:
            acceptor.resume()
        print(int(acceptor.paused), acceptor.exhausted, flush=True)
    print("closed", acceptor.close(), acceptor.close(), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
