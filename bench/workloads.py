"""What is asked of the proxies. A new workload is a new row, and a new size of body a row of BODIES."""

from dataclasses import dataclass

# Path on the origin and bytes of its answer.
BODIES = {"/": 105, "/64k": 64 * 1024, "/1m": 1024 * 1024}

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


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of load: keep-alive connections that ask for one path over and over."""

    name: str
    title: str
    path: str = "/"
    connections: int = 64
    head: tuple[str, ...] = ()

    @property
    def body(self) -> int:
        """Bytes of the answer's body."""
        return BODIES[self.path]


# The first is the one that --quick runs.
WORKLOADS = (
    Workload("small", "105 bytes, 64 connections"),
    Workload("browser", "105 bytes, 64 connections, a browser's twelve headers", head=BROWSER_HEAD),
    Workload("64k", "64 KiB, 64 connections", path="/64k"),
    Workload("1m", "1 MiB, 64 connections", path="/1m"),
)
