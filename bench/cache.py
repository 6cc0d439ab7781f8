"""The user's cache folder, where what the benchmark fetches and compiles lies from one run to the next."""

import os
from pathlib import Path


def folder() -> Path:
    """XDG_CACHE_HOME/pointsman/bench; ~/.cache without the variable. It need not exist yet."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "pointsman" / "bench"
