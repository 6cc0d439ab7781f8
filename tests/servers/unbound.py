"""An Unbound name server with zones of the tests' own, which are replaced whole while it runs."""

from __future__ import annotations

import functools
import os
import socket
from typing import TYPE_CHECKING

import dns.exception
import dns.message
import dns.query

from config.units import Address
from tests.servers.fetch import debian_package
from tests.servers.ports import free_port
from tests.servers.process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SUITE = "bookworm"
# What else it is linked with comes with every Debian.
LIBRARIES = ("libevent-2.1-7", "libnghttp2-14", "libprotobuf-c1", "libpython3.11")

ZONE = "lan"
SILENT, REFUSED, BROKEN = "silent", "refused", "broken"  # zones that are not answered; refused; a SERVFAIL

CONFIG = """\
server:
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: ""
  use-syslog: no
  logfile: ""
  interface: 127.0.0.1
  port: {port}
  num-threads: 1
  module-config: "iterator"
  minimal-responses: {minimal}
  local-zone: "{silent}." deny
  local-zone: "{refused}." refuse
auth-zone:
  name: "{zone}."
  zonefile: "{folder}/{zone}.zone"
  for-upstream: no
auth-zone:
  name: "{broken}."
  for-upstream: no
remote-control:
  control-enable: yes
  control-interface: "{folder}/control"
  control-use-cert: no
"""

# Its last number is the TTL of what is not there.
HEAD = """\
$ORIGIN {zone}.
$TTL {ttl}
@ IN SOA ns hostmaster 1 3600 600 86400 {ttl}
@ IN NS ns
ns IN A 127.0.0.1
"""


@functools.cache
def installed() -> Path:
    """Return the folder of the program and its libraries; UnavailableError when they cannot be had."""
    return debian_package("unbound", SUITE, *LIBRARIES)


class Unbound:
    """A name server for the zone `lan`, on a port of its own, by UDP and TCP; it has the same port after each start.

    `addresses_come_along` puts the addresses of SRV records' targets beside them.
    """

    def __init__(self, folder: Path, *, addresses_come_along: bool = False) -> None:
        self.address = Address("127.0.0.1", free_port())
        self._folder = folder
        config = folder / "unbound.conf"
        config.write_text(
            CONFIG.format(
                folder=folder,
                port=self.address.port,
                minimal="no" if addresses_come_along else "yes",
                zone=ZONE,
                silent=SILENT,
                refused=REFUSED,
                broken=BROKEN,
            )
        )
        root = installed()
        libraries = [str(path) for path in sorted((root / "usr/lib").glob("*-linux-gnu"))]
        environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)}
        command = [str(root / "usr/sbin/unbound"), "-d", "-p", "-c", str(config)]
        self._process = ServerProcess(command, folder / "unbound.log", self._is_ready, environment=environment)
        self.prepare([])
        self.start = self._process.start
        self.stop = self._process.stop
        self.kill = self._process.kill
        self.freeze = self._process.freeze
        self.thaw = self._process.thaw

    def serve(self, records: Iterable[str], ttl: int = 1) -> None:
        """Answer with these records of the zone from now on: `web A 10.0.0.1`, `web 5 A 10.0.0.1` for another TTL."""
        self.prepare(records, ttl)
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(10)
            control.connect(str(self._folder / "control"))
            control.sendall(f"UBCT1 auth_zone_reload {ZONE}.\n".encode())
            said = control.makefile().read().strip()
        assert said == "ok", said

    def prepare(self, records: Iterable[str], ttl: int = 1) -> None:
        """Answer with these records from the next start on."""
        text = HEAD.format(zone=ZONE, ttl=ttl) + "".join(f"{record}\n" for record in records)
        (self._folder / f"{ZONE}.zone").write_text(text)

    def _is_ready(self) -> bool:
        question = dns.message.make_query(f"{ZONE}.", "SOA")
        try:
            dns.query.udp(question, self.address.host, timeout=0.2, port=self.address.port)
        except dns.exception.DNSException:
            return False
        return True
