"""Fuzz for some minutes: `python -m tests.fuzz [SECONDS]`, 300 of them without, and say how it goes.

Half of the time goes to hypothesis with fresh seeds, half to atheris; all of it to hypothesis where atheris is missing.
The exit status is 0 when nothing was found; what was found is printed, so that it can become a seed.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time

from tests.fuzz.tries import tries

_ROUND = 500  # examples of one property before the next one has its turn


def main(arguments: list[str]) -> int:
    """Fuzz; return the status."""
    seconds = int(arguments[0]) if arguments else 300
    has_atheris = importlib.util.find_spec("atheris") is not None
    by_grammar = seconds // 2 if has_atheris else seconds
    _try_until(time.monotonic() + by_grammar)
    if not has_atheris:
        print("atheris is not installed, so nothing was tried by coverage")
        return 0
    print(f"now by coverage, for {seconds - by_grammar} s")
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz.coverage", str(seconds - by_grammar)], check=False
    ).returncode


def _try_until(deadline: float) -> None:
    """Try all properties in turn; what hypothesis finds, it raises, cut down to its essence."""
    everything = tries()
    began = time.monotonic()
    while time.monotonic() < deadline:
        for one in everything.values():
            one.run(_ROUND, fresh=True)
        tried = ", ".join(f"{name} {one.examples} ({one.messages} messages)" for name, one in everything.items())
        print(f"{time.monotonic() - began:4.0f} s  {tried}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
