"""The folder of certificates: what is in it, and how it is written so that nobody reads half of a file.

NAME.crt, NAME.key     a certificate with its chain, and its key         account.key   the account's key
challenges/TOKEN       a proof, while an order is under way              orders.json   when orders were made
lock                   held by the process that is ordering

All of it is shared by the processes that have the folder in common: any of them may be asked for a proof.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from proxy.tls.acme import making
from proxy.tls.acme.pace import HOUR

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import ec

    from proxy.tls.acme.pace import Standing

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,256}")  # base64url (RFC 8555, section 8.3), and so no path
_LONGEST_PROOF = 1024  # bytes; a token and the thumbprint of a key have some 90


class Folder:
    """The files of ACME. Its methods raise OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._challenges = path / "challenges"

    def pair(self, domain: str) -> tuple[Path, Path]:
        """Return where the certificate of a domain and its key are."""
        return self.path / f"{domain}.crt", self.path / f"{domain}.key"

    def prepare(self, domain: str) -> None:
        """See to it that there is something to serve a domain with: what is there, or a placeholder."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._challenges.mkdir(mode=0o700, exist_ok=True)
        if self.standing(domain) is None:
            key = making.new_key()
            self.keep(domain, making.placeholder_pem(domain, key), making.key_pem(key))

    def standing(self, domain: str) -> Standing | None:
        """Say how the certificate of a domain stands; None when there is none that can be used."""
        certificate, key = self.pair(domain)
        try:
            return making.standing_of(certificate.read_bytes(), key.read_bytes(), domain)
        except FileNotFoundError:
            return None

    def keep(self, domain: str, chain: bytes, key: bytes) -> None:
        """Put a certificate in the place of the one before."""
        certificate, its_key = self.pair(domain)
        _write(its_key, key)
        _write(certificate, chain)

    def account_key(self) -> ec.EllipticCurvePrivateKey:
        """Return the account's key, which is made when it is wanted first. Raises ValueError where it is spoilt."""
        path = self.path / "account.key"
        try:
            return making.read_key(path.read_bytes())
        except FileNotFoundError:
            key = making.new_key()
            _write(path, making.key_pem(key))
            return key

    def orders(self, domain: str) -> list[float]:
        """List when orders were made for a domain within the last hour or so; seconds since 1970."""
        return self._all_orders().get(domain, [])

    def ordered(self, domain: str, now: float) -> None:
        """Write down that an order is made: a process that is started again and again must not forget it."""
        orders = self._all_orders()
        orders.setdefault(domain, []).append(now)
        young = {name: [moment for moment in moments if moment > now - HOUR] for name, moments in orders.items()}
        kept = {name: moments for name, moments in young.items() if moments}
        _write(self.path / "orders.json", json.dumps(kept).encode())

    def proof(self, token: str) -> bytes | None:
        """Return the proof that belongs to a token; None when it is not of ours."""
        if not _TOKEN.fullmatch(token):
            return None
        try:
            with open(self._challenges / token, "rb") as file:
                return file.read(_LONGEST_PROOF)
        except OSError:
            return None

    def prove(self, token: str, proof: bytes) -> None:
        """Have a proof shown. Raises ValueError for a token that is none."""
        if not _TOKEN.fullmatch(token):
            raise ValueError("the authority's token is malformed")
        _write(self._challenges / token, proof)

    def forget_proofs(self) -> None:
        """Show no proof any more; only for who holds the lock."""
        for path in self._challenges.iterdir():
            path.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Hold the lock while the block lasts; yields False when another process has it. It goes with its process."""
        with open(self.path / "lock", "ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def _all_orders(self) -> dict[str, list[float]]:
        try:
            found = json.loads((self.path / "orders.json").read_bytes())
            return {str(name): [float(moment) for moment in moments] for name, moments in found.items()}
        except (FileNotFoundError, ValueError, TypeError, AttributeError):
            return {}


def _write(path: Path, data: bytes) -> None:
    """Write a file that nobody but us may read, whole or not at all, on the disk when this returns."""
    young = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(young, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    young.replace(path)
