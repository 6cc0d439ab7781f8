"""The same properties on streams that are bred for reaching new code, by atheris, which is libFuzzer for Python.

    python -m tests.fuzz.coverage SECONDS [CORPUS, or an option of libFuzzer's]

CORPUS is a folder in which what reached new code is kept for the next time; without one, nothing is. An input is a byte
that says what kind of stream it is, two for where it is cut, and the stream.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.fuzz.seeds import ASKED, REQUESTS, RESPONSES

_LONGEST = 1024  # bytes of an input
_SLOW = 20  # seconds for one input that are a finding
# libFuzzer strikes these into a stream, as it finds no word longer than a few bytes by chance.
_WORDS = [
    "Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", "Transfer-Encoding", "Content-Length", "chunked",
    "Host: a\r\n", "Connection: close\r\n", "Connection: keep-alive\r\n", "Expect: 100-continue\r\n", "HTTP/1.1",
    "HTTP/1.0", "GET / HTTP/1.1\r\n", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 \r\n", "\r\n", "\r\n\r\n", "0\r\n\r\n",
    "3\r\nabc\r\n", "\r\n ", "\n\n", "\r\r\n", "http://b/", ";a=\"b\"",
]  # fmt: skip


def kinds() -> list[tuple[list[bytes], bool]]:
    """Return what the first byte chooses from: requests (nothing is asked), or responses to what, ended or not."""
    return [([], False), *((asked, ended) for asked in ASKED for ended in (False, True))]


def try_input(data: bytes) -> None:
    """Check one input."""
    from tests.fuzz.properties import check_requests, check_responses

    if len(data) < 3:
        return
    kind, *cuts = data[:3]
    asked, ended = kinds()[kind % len(kinds())]
    if asked:
        check_responses(asked, data[3:], cuts, ended=ended)
    else:
        check_requests(data[3:], cuts)


def seed_inputs() -> list[bytes]:
    """Write the seeds as inputs."""
    inputs = [bytes([0, 9, 40]) + stream for stream in REQUESTS.values()]
    for number, stream in enumerate(RESPONSES.values()):
        inputs += [bytes([1 + (number + more) % (len(kinds()) - 1), 9, 40]) + stream for more in range(4)]
    return inputs


def main(arguments: list[str]) -> int:
    """Run; return the status, 0 when nothing was found."""
    seconds, corpus = max(1, int(arguments[0])), arguments[1:2]  # to libFuzzer, 0 is for ever
    with tempfile.TemporaryDirectory(prefix="pointsman-fuzz-") as name:
        folder = Path(name)
        (folder / "seeds").mkdir()
        for number, data in enumerate(seed_inputs()):
            (folder / "seeds" / f"{number:03}").write_bytes(data)
        (folder / "words").write_text("".join(f'"{_escaped(word)}"\n' for word in _WORDS))
        options = [
            f"-max_total_time={seconds}", f"-max_len={_LONGEST}", f"-timeout={_SLOW}", "-print_final_stats=1",
            f"-dict={folder / 'words'}", f"-artifact_prefix={folder}/", *corpus, str(folder / "seeds"),
        ]  # fmt: skip
        # libFuzzer ends its process by itself, so it gets one.
        return subprocess.run([sys.executable, "-m", __spec__.name, "--child", *options], check=False).returncode


def fuzz(options: list[str]) -> None:
    """Give this process to libFuzzer."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["proxy.http", "h11"]):
        importlib.import_module("tests.fuzz.properties")

    def one(data: bytes) -> None:
        try:
            try_input(data)
        except BaseException:
            kind, *cuts = data[:3]
            asked, ended = kinds()[kind % len(kinds())]
            print(f"\nFOUND: {data[3:]!r}\n  cut at {cuts}, asked {asked}, ended: {ended}", file=sys.stderr)
            raise

    atheris.Setup([sys.argv[0], *options], one)
    atheris.Fuzz()


def _escaped(word: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word.encode())


if __name__ == "__main__":
    if sys.argv[1] == "--child":
        fuzz(sys.argv[2:])
    sys.exit(main(sys.argv[1:]))
