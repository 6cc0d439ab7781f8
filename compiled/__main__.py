"""Builds the compiled modules. Exit status: 0 built, 1 not built, 3 nothing to build with."""

from __future__ import annotations

import sys
import time

from compiled.build import BuildError, UnequippedError, build
from compiled.modules import MODULES
from compiled.stamp import BUILT, read, why_unfit


def main() -> int:
    """Build; with --if-needed only if what was built before is not of these sources."""
    if "--if-needed" in sys.argv[1:] and _is_fit():
        return 0
    print(f"building {len(MODULES)} modules, which takes a minute or two of CPU time", flush=True)
    begun = time.monotonic()
    try:
        build()
    except BuildError as error:
        print(f"{error}\nNothing was built: pointsman runs interpreted.", file=sys.stderr)
        return 3 if isinstance(error, UnequippedError) else 1
    print(f"built in {time.monotonic() - begun:.0f} s; it is used until one of its sources is edited")
    return 0


def _is_fit() -> bool:
    try:
        return not why_unfit(read(BUILT), BUILT)
    except (OSError, ValueError):
        return False


if __name__ == "__main__":
    sys.exit(main())
