"""What is asked of the proxies. A new workload is a new row, and a new size of body a row of BODIES."""

from dataclasses import dataclass
from enum import StrEnum

# Path on the origin and bytes of its answer.
BODIES = {"/": 105, "/64k": 64 * 1024, "/1m": 1024 * 1024, "/chunked": 16 * 1024, "/upload": 2}

BROWSER_HEAD = (
    "Host: shop.example.com",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language: en-GB,en;q=0.7,de;q=0.3",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Referer: https://shop.example.com/categories/railway-models?page=2",
    "Connection: keep-alive",
    "Cookie: session=4f0c9a52b1e84d0e9a35c7d1f6b20e77; consent=necessary; basket=3",
    "Upgrade-Insecure-Requests: 1",
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Site: same-origin",
)


class Generator(StrEnum):
    """What makes the load."""

    WRK = "wrk"
    """As many requests as its connections can have answered, each connection one at a time."""

    H2LOAD = "h2load"
    """New connections at a fixed rate, one request each; their TLS sessions are never resumed."""

    PACE = "pace"
    """Requests at a fixed rate, at random moments, whatever became of those before."""

    WEBSOCKET = "websocket"
    """Messages that are echoed, on each connection one at a time."""

    IDLE = "idle"
    """Connections that have had one request and now wait."""


class Instances(StrEnum):
    """Who stands behind the proxies."""

    ORIGIN = "origin"
    """nginx on three ports."""

    SPREAD = "spread"
    """The same nginx, at as many addresses of the loopback network as the workload's `pool` says."""

    ONE_SLOW = "one_slow"
    """Two ports of that nginx, and an instance that answers after SLOW seconds."""

    ECHO = "echo"
    """Three that accept WebSockets and send every message back."""


class Figure(StrEnum):
    """What of a sample is compared with the peers', by the name of its property. Less is better."""

    CPU = "cpu_per_request"
    MEAN = "mean"
    P99 = "p99"
    ADDED = "added_p50"
    MEMORY = "memory_each"


SLOW = 0.05
"""Seconds that the slow instance takes."""


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of load."""

    name: str
    title: str
    path: str = "/"
    connections: int = 64
    head: tuple[str, ...] = ()
    upload: int = 0
    """Bytes that each request brings along."""
    tls: bool = False
    log: bool = False
    """Whether each request has a line in an access log."""
    tuned: bool = False
    """Whether the peers have larger buffers than their defaults, where that is cheaper for large bodies."""
    generator: Generator = Generator.WRK
    rate: int = 0
    """Requests a second, or with h2load connections a second; 0: as many as there can be, or as `share` says."""
    share: float = 0.0
    """The rate as a share of what the proxy could do a moment before; 0: as `rate` says."""
    instances: Instances = Instances.ORIGIN
    pool: int = 3
    """How many instances there are."""
    figure: Figure = Figure.CPU

    @property
    def body(self) -> int:
        """Bytes of the answer's body."""
        return BODIES[self.path]

    @property
    def probes(self) -> bool:
        """Whether instances are probed: not where pools are compared, for 10,000 probes would be the load."""
        return self.instances is not Instances.SPREAD


_CLOSE = ("Connection: close",)

# The first is the one that --quick runs.
WORKLOADS = (
    Workload("small", "105 bytes, 64 connections"),
    Workload("browser", "105 bytes, 64 connections, a browser's twelve headers", head=BROWSER_HEAD),
    Workload("64k", "64 KiB, 64 connections", path="/64k"),
    Workload("1m", "1 MiB, 64 connections", path="/1m"),
    Workload("1m-tuned", "1 MiB, 64 connections, peers with larger buffers", path="/1m", tuned=True),
    Workload("chunked", "16 KiB in chunks, 64 connections", path="/chunked"),
    Workload("upload", "uploads of 64 KiB, 64 connections", path="/upload", upload=64 * 1024),
    Workload("one", "105 bytes, 1 connection", connections=1),
    Workload("thousand", "105 bytes, 1,000 connections", connections=1000),
    Workload("close", "105 bytes, a new connection for each request", head=_CLOSE),
    Workload("tls", "TLS, 105 bytes, 64 kept connections", tls=True),
    Workload("tls-resumed", "TLS, a new connection for each request, sessions resumed", tls=True, head=_CLOSE),
    Workload(
        "tls-new",
        "TLS, 400 new connections a second, whole handshakes",
        tls=True,
        head=_CLOSE,
        generator=Generator.H2LOAD,
        rate=400,
    ),
    Workload(
        "websocket",
        "WebSocket, echoes of 32 bytes, 64 connections",
        generator=Generator.WEBSOCKET,
        instances=Instances.ECHO,
    ),
    Workload(
        "added",
        "latency added, at a tenth of the capacity",
        connections=128,
        generator=Generator.PACE,
        share=0.1,
        figure=Figure.ADDED,
    ),
    Workload(
        "half", "p99 at half of the capacity", connections=256, generator=Generator.PACE, share=0.5, figure=Figure.P99
    ),
    Workload(
        "slow",
        "one slow instance among three, 1,000 requests a second",
        connections=256,
        generator=Generator.PACE,
        rate=1000,
        instances=Instances.ONE_SLOW,
        figure=Figure.MEAN,
    ),
    Workload("idle", "10,000 idle connections", connections=10_000, generator=Generator.IDLE, figure=Figure.MEMORY),
    Workload("pool-3", "105 bytes, 64 connections, 3 endpoints", instances=Instances.SPREAD),
    Workload("pool-100", "105 bytes, 64 connections, 100 endpoints", instances=Instances.SPREAD, pool=100),
    Workload("pool-10000", "105 bytes, 64 connections, 10,000 endpoints", instances=Instances.SPREAD, pool=10_000),
    Workload("log", "105 bytes, 64 connections, with an access log", log=True),
)
