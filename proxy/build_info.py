"""What is running: the version, and whether the data path is compiled or interpreted."""

from __future__ import annotations

import logging
import platform
from importlib.metadata import version

from compiled import loading

_log = logging.getLogger(__name__)


def build_info() -> dict[str, str]:
    """Return the versions, and what the data path is; `reason` says why it is not compiled, empty where it is."""
    outcome = loading.outcome
    return {
        "version": version("pointsman"),
        "python": platform.python_version(),
        "data_path": outcome.name,
        "reason": outcome.reason,
    }


def tell() -> None:
    """Log it; what was built and is not used is worth a warning."""
    outcome = loading.outcome
    if outcome.unfit:
        _log.warning("the data path is interpreted, though it was built: %s", outcome.reason)
    else:
        _log.info("the data path is %s", outcome)
