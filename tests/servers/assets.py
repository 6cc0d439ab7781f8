"""What the page of tests.servers.site consists of: 60 assets of many sizes, made up the same way in every process."""

from __future__ import annotations

import functools
import hashlib
import random
import string
import struct
import zlib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

SCRIPT = Path(__file__).with_name("page.js")  # what the page does once it is loaded


class Delivery(Enum):
    """How an asset is sent."""

    LENGTH = "with Content-Length"
    CHUNKED = "in chunks"
    CLOSE = "with Content-Length, after which the instance closes the connection"
    UNTIL_CLOSE = "until the instance closes the connection"
    ETAG = "with a validator, so that it is asked for again and answered by 304"
    GZIP = "compressed"
    SLOW = "in pieces with pauses"


@dataclass(frozen=True, slots=True)
class Asset:
    name: str
    content_type: str
    body: bytes
    delivery: Delivery

    @property
    def path(self) -> str:
        return f"/assets/{self.name}"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


_DELIVERIES = (Delivery.LENGTH, Delivery.CHUNKED, Delivery.ETAG, Delivery.GZIP, Delivery.LENGTH, Delivery.CLOSE)
_SIZES = (0, 40, 700, 1460, 5000, 16_384, 40_000, 65_536, 150_000)  # bytes, roughly, of what fills an asset up
_BIG = {"image-03.png": 400, "font-05.woff2": 1_000_000}  # pixels of a side, bytes


@functools.cache
def assets() -> dict[str, Asset]:
    """Return all of them, by name."""
    made: list[Asset] = []

    def add(name: str, content_type: str, body: bytes) -> None:
        delivery = _DELIVERIES[len(made) % len(_DELIVERIES)]
        if name == "script-07.js":
            delivery = Delivery.SLOW
        elif name == "image-11.png":
            delivery = Delivery.UNTIL_CLOSE
        made.append(Asset(name, content_type, body, delivery))

    for number in range(1, 16):
        rng = random.Random(number)
        size = _SIZES[number % len(_SIZES)]
        text = "".join(rng.choices(string.ascii_letters + "\n", k=size))
        add(f"style-{number:02}.css", "text/css", f":root {{ --style-{number:02}: loaded }}\n/* {text} */\n".encode())
        add(f"script-{number:02}.js", "text/javascript", f"loaded({number});\n/* {text[::-1]} */\n".encode())
        side = _BIG.get(f"image-{number:02}.png", 3 + 7 * number)
        add(f"image-{number:02}.png", "image/png", _png(side, rng))
        if number <= 9:
            shape = f'<svg xmlns="http://www.w3.org/2000/svg" width="{number}" height="{number}"><!-- {text} --></svg>'
            add(f"image-{number:02}.svg", "image/svg+xml", shape.encode())
        if number <= 6:
            size = _BIG.get(f"font-{number:02}.woff2", 1000 * number)
            add(f"font-{number:02}.woff2", "font/woff2", rng.randbytes(size))
    return {asset.name: asset for asset in made}


def page() -> str:
    """Return the page in HTML. Its script asks for the fonts: the browser would complain that they are none."""
    parts = ["<!doctype html>", '<html lang="en"><meta charset="utf-8"><title>Many assets</title>']
    parts.append('<link rel="icon" href="data:,">')
    parts.append("<script>const numbers = []; const loaded = number => numbers.push(number);</script>")
    for asset in assets().values():
        match asset.content_type:
            case "text/css":
                parts.append(f'<link rel="stylesheet" href="{asset.path}">')
            case "text/javascript":
                parts.append(f'<script src="{asset.path}" async></script>')
            case "image/png" | "image/svg+xml":
                parts.append(f'<img src="{asset.path}" alt="">')
    parts.append('<script src="/page.js"></script></html>')
    return "\n".join(parts)


def _png(side: int, rng: random.Random) -> bytes:
    """Return a square picture of noise, three bytes a pixel (PNG specification, 5)."""
    rows = b"".join(b"\0" + rng.randbytes(3 * side) for _ in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
