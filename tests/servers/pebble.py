"""Let's Encrypt's test server pebble, with the name server that comes along, from Debian."""

from __future__ import annotations

import functools
import json
import os
import socket
import ssl
import urllib.request
from typing import TYPE_CHECKING, Any

import trustme

from tests.servers.debian import SUITE
from tests.servers.fetch import debian_package
from tests.servers.ports import free_ports
from tests.servers.process import ServerProcess

if TYPE_CHECKING:
    from pathlib import Path


@functools.cache
def installed() -> Path:
    """Return the folder of the programs; UnavailableError when they cannot be had."""
    return debian_package("pebble", SUITE) / "usr/bin"


class Pebble:
    """An authority that asks port `http_port` of 127.0.0.1 for proofs, whatever the domain is called.

    `nonces` is the share of requests whose nonce it refuses, in per cent; `ca` the file of who vouches for its own TLS.
    """

    def __init__(self, folder: Path, http_port: int, *, nonces: int = 0, authorizations_kept: int = 0) -> None:
        self.port, self._manage, self._dns, self._dns_manage = free_ports(4)
        own = trustme.CA()
        self.ca = folder / "pebble-ca.pem"
        own.cert_pem.write_to_path(str(self.ca))
        mine = own.issue_cert("localhost", "127.0.0.1")
        mine.cert_chain_pems[0].write_to_path(str(folder / "pebble.crt"))
        mine.private_key_pem.write_to_path(str(folder / "pebble.key"))
        config = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self._manage}",
            "certificate": str(folder / "pebble.crt"),
            "privateKey": str(folder / "pebble.key"),
            "httpPort": http_port,
            "tlsPort": 9,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
        }
        (folder / "pebble.json").write_text(json.dumps({"pebble": config}))
        environment = {
            **os.environ,
            "PEBBLE_VA_NOSLEEP": "1",
            "PEBBLE_WFE_NONCEREJECT": str(nonces),
            "PEBBLE_AUTHZREUSE": str(authorizations_kept),
        }
        programs = installed()
        names = [
            str(programs / "pebble-challtestsrv"), "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "",
            "-dns01", f"127.0.0.1:{self._dns}", "-management", f"127.0.0.1:{self._dns_manage}",
            "-http01", "", "-https01", "", "-tlsalpn01", "",
        ]  # fmt: skip
        command = [
            str(programs / "pebble"), "-strict", "-config", str(folder / "pebble.json"),
            "-dnsserver", f"127.0.0.1:{self._dns}",
        ]  # fmt: skip
        self._names = ServerProcess(names, folder / "names.log", lambda: _accepts(self._dns_manage))
        self._process = ServerProcess(
            command, folder / "pebble.log", lambda: _accepts(self.port) and _accepts(self._manage),
            environment=environment,
        )  # fmt: skip

    @property
    def directory(self) -> str:
        return f"https://localhost:{self.port}/dir"

    def keys(self, folder: Path, **more: object) -> dict[str, object]:
        """The top-level key `acme` of a configuration that has certificates from here."""
        return {
            "terms_agreed": True,
            "directory": self.directory,
            "ca": str(self.ca),
            "folder": str(folder),
            "email": "ops@example.com",
            **more,
        }

    def root(self) -> str:
        """The certificate of who vouches for what was issued since the start (PEM)."""
        return self._ask("/roots/0")

    def log(self) -> str:
        return self._process.log.read_text()

    def start(self) -> None:
        self._names.start()
        self._process.start()

    def stop(self) -> None:
        self._process.kill()
        self._names.kill()

    def _ask(self, path: str) -> str:
        context = ssl.create_default_context(cafile=str(self.ca))
        url = f"https://localhost:{self._manage}{path}"
        with urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        ).open(url, timeout=5) as answer:
            text: Any = answer.read().decode()
        assert isinstance(text, str)
        return text


def _accepts(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 0.2):
        return True
