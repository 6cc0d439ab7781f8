"""Who may pass, and with which password: the text of a file in htpasswd's form, read."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.edge.hashes import Hash, HashError, read_hash

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_USERS = 100_000
# Somebody must be asked for when the file has no user: nobody's, of a random password.
_NOBODYS = Hash("bcrypt 10", "$2b$10$2ujntAl82J8xtljMMPByJO5gz69aHsLvjYZyzXM3ZWfGXgX5Dh5TG")
_NAME = re.compile(rb"[^\x00-\x1f\x7f:]{1,255}")


class UsersError(ValueError):
    """A file of users that cannot be used; the message says where, and why. It shows no hash."""


@dataclass(frozen=True, slots=True)
class Users:
    """The users of a file, by name, each with the hash of the password.

    `decoy` is what the password of somebody unknown is compared with, so that it takes as long as for most of the
    known, and nobody learns who is one.
    """

    hashes: Mapping[bytes, Hash]
    decoy: Hash

    def knows(self, name: bytes, password: bytes) -> bool:
        """Tell whether this is the user's password. Takes as long as a hash does: not for the loop."""
        known = self.hashes.get(name)
        fits = (known or self.decoy).fits(password)
        return fits and known is not None


def read_users(text: bytes) -> Users:
    """Read name:hash lines; empty ones and those that begin with # are passed over. Raises UsersError."""
    hashes: dict[bytes, Hash] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith(b"#"):
            continue
        name, colon, written = line.partition(b":")
        if not colon or not _NAME.fullmatch(name):
            raise UsersError(f"line {number} is not name:hash")
        if name in hashes:
            raise UsersError(f"line {number}: {name.decode('utf-8', 'replace')!r} is there twice")
        if len(hashes) >= MOST_USERS:
            raise UsersError(f"has more than {MOST_USERS} users")
        try:
            hashes[name] = read_hash(written.decode("ascii", "replace"))
        except HashError as error:
            raise UsersError(f"line {number}: what follows {name.decode('utf-8', 'replace')!r} {error}") from None
    kinds = Counter(one.kind for one in hashes.values())
    usual = kinds.most_common(1)[0][0] if kinds else ""
    return Users(hashes, next((one for one in hashes.values() if one.kind == usual), _NOBODYS))
