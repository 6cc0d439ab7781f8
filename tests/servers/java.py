"""A Java runtime for the servers that need one: the system's, else Debian's, unpacked into the cache folder."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess

from tests.servers.fetch import UnavailableError, debian_package

SUITE = "bookworm"
PACKAGE = "openjdk-17-jre-headless"
OLDEST = 11  # major version


@functools.cache
def java() -> str:
    """Return the path of a `java`; UnavailableError when there is none to be had."""
    installed = shutil.which("java")
    if installed and _major(installed) >= OLDEST:
        return installed
    found = next(debian_package(PACKAGE, SUITE).glob("usr/lib/jvm/java-*-openjdk-*/bin/java"), None)
    if found is None or _major(str(found)) < OLDEST:
        raise UnavailableError(f"{PACKAGE} was unpacked, and its java cannot be run")
    return str(found)


def _major(program: str) -> int:
    """Return the major version: 17, or 0 when it does not run."""
    try:
        told = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=60, check=False).stderr
    except (OSError, subprocess.TimeoutExpired):
        return 0
    version = re.search(r'version "(\d+)', told)
    return int(version[1]) if version else 0
