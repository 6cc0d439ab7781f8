"""kazoo, made fit for us: its log is told apart from ours, its messages have a bound, its threads end in silence.

kazoo writes a warning at each connection that it loses or cannot make, some times a second while an ensemble is away.
We say once what is wrong, with the last such warning as the reason. Its lines of level debug hold passwords, and are
dropped.
"""

from __future__ import annotations

import errno
import logging
import socket
from typing import TYPE_CHECKING, Any

from kazoo.client import KazooClient
from kazoo.handlers.threading import SequentialThreadingHandler
from kazoo.retry import KazooRetry

from discovery.instance import first_line

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping, Sequence
    from threading import Thread

MESSAGE_LIMIT = 64 * 2**20  # bytes; a list of 100,000 children, with long names
PATIENCE = 5.0  # seconds that connecting to one host may take
FIRST_DELAY, LONGEST_DELAY = 0.1, 2.0  # seconds between two rounds of attempts to connect

log = logging.getLogger(__name__)


def make_client(
    hosts: Sequence[str], session_timeout: float, credential: str, client_id: tuple[int, bytes] | None = None
) -> tuple[KazooClient, Log]:
    """Make a client that connects, and connects again, until it is stopped; and what it has to say.

    `credential` is `user:password`, or empty; `session_timeout` is in seconds.
    """
    told = Log(log)
    handler = Handler(min(PATIENCE, session_timeout / len(hosts)))
    client = KazooClient(
        hosts=",".join(hosts),
        timeout=session_timeout,
        client_id=client_id,
        handler=handler,
        auth_data=[("digest", credential)] if credential else [],
        connection_retry=KazooRetry(
            max_tries=-1, delay=FIRST_DELAY, max_delay=LONGEST_DELAY, sleep_func=handler.sleep_func
        ),
        logger=told,
    )
    return client, told


class Log(logging.LoggerAdapter[logging.Logger]):
    """Takes what kazoo logs; `complaint` is the last reason it gave for being without a connection."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(logger, {})
        self.complaint = ""

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Keep a warning as the complaint, and pass on as a line for debugging what is none."""
        if level <= logging.DEBUG:
            return
        text = str(msg) % args if args else str(msg)
        if level >= logging.WARNING and args:
            self.complaint = first_line(text)
        self.logger.debug("kazoo: %s", first_line(text))

    def warn(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Be there for kazoo, which still calls it: logging's own warns that it is deprecated."""
        self.log(logging.WARNING, msg, *args)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Leave everything as it is."""
        return msg, kwargs


class _Socket(socket.socket):
    """A connection on which no message may be longer than the limit.

    kazoo asks for as many bytes as the other side says that its message has, and Python sets aside so many at once: of
    a server that speaks HTTP, 1.2 GB.
    """

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Read as socket.socket does, if it is not too much; an OSError is the end of the connection for kazoo."""
        if not 0 <= size <= MESSAGE_LIMIT:
            raise OSError(errno.EMSGSIZE, f"a message of {size} bytes: is this a ZooKeeper?")
        return super().recv(size, flags)


class Handler(SequentialThreadingHandler):  # type: ignore[misc]  # kazoo has no types
    """kazoo's threads, which end without a word, and sockets that wait no longer than `patience` seconds to connect.

    Without the bound a host that is gone keeps the others of the ensemble waiting for a whole session time-out.
    """

    def __init__(self, patience: float) -> None:
        super().__init__()
        self._patience = patience

    def create_connection(self, *args: Any, **kwargs: Any) -> socket.socket:
        """Connect."""
        kwargs["timeout"] = min(kwargs.get("timeout", self._patience), self._patience)
        plain = super().create_connection(*args, **kwargs)
        return _Socket(plain.family, plain.type, plain.proto, fileno=plain.detach())

    def spawn(self, func: Callable[..., object], *args: Any, **kwargs: Any) -> Thread:
        """Run in a thread of its own; kazoo tells of the end of its session in another way."""

        def quietly() -> None:
            try:
                func(*args, **kwargs)
            except Exception as error:
                log.debug("kazoo: a thread ended: %s", first_line(repr(error)))

        thread: Thread = super().spawn(quietly)
        return thread
