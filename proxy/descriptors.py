"""File descriptors: how many this process may have, and how many of them are kept back for others."""

from __future__ import annotations

import errno
import os
import resource

# One in so many is left when clients are accepted, for the connections to instances; and one in so many when those are
# made, for probes, registries, logs and the admin API.
FOR_INSTANCES, FOR_OURSELVES = 4, 16


def all_but(one_in: int) -> int:
    """Return how many descriptors may be in use so that one in so many is left."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft - soft // one_in if soft != resource.RLIM_INFINITY else 2**31


def check_room(most: int) -> None:
    """Raise OSError, EMFILE or what else the system says, when so many are in use."""
    # Gets the lowest number that is free, as a socket would, in 0.9 µs instead of 3.1: a tenth of connecting.
    descriptor = os.open("/", os.O_PATH | os.O_CLOEXEC)
    os.close(descriptor)
    if descriptor >= most:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def raise_file_limit() -> None:
    """Allow as many connections as the system lets us have: the usual soft limit of 1024 files is for select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
