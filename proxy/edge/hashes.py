"""The hashes of passwords that htpasswd writes, and whether a password is behind one."""

from __future__ import annotations

import re
from dataclasses import dataclass

_BCRYPT_TAKES = 72  # bytes of a password; Apache leaves out what is longer too
_MOST_COST = 15  # of bcrypt: 2 s of CPU time for a password
_MOST_ROUNDS = 1_000_000  # of SHA-crypt: 0.5 s
_HASH = "[./A-Za-z0-9]"


class HashError(ValueError):
    """A text that is no hash to be used; the message says what it is, or why not."""


@dataclass(frozen=True, slots=True)
class Hash:
    """A hash as the file has it. `kind` says what it costs to check: those of the same kind cost the same."""

    kind: str
    text: str

    def fits(self, password: bytes) -> bool:
        """Tell whether it is the password's. The comparison takes the same time whatever differs.

        bcrypt takes 60 ms and more (it leaves the interpreter to others meanwhile), SHA-crypt 3 ms, apr1 0.5 ms.
        """
        if self.kind.startswith("bcrypt"):
            import bcrypt  # like passlib below: 4 MiB, for those who ask for passwords

            return bcrypt.checkpw(password[:_BCRYPT_TAKES], self.text.encode())
        from passlib.hash import apr_md5_crypt, ldap_sha1, sha256_crypt, sha512_crypt

        others = {"apr1": apr_md5_crypt, "sha256": sha256_crypt, "sha512": sha512_crypt, "sha1": ldap_sha1}
        return bool(others[self.kind.partition(" ")[0]].verify(password, self.text))


def read_hash(text: str) -> Hash:
    """Tell what kind of hash a text is. Raises HashError."""
    if found := re.fullmatch(rf"\$2[aby]\$([0-9]{{2}})\${_HASH}{{53}}", text):
        if not 4 <= int(found[1]) <= _MOST_COST:
            raise HashError(f"is bcrypt with a cost of {found[1]}, which must be from 4 to {_MOST_COST}")
        return Hash(f"bcrypt {found[1]}", text)
    if re.fullmatch(rf"\$apr1\${_HASH}{{1,8}}\${_HASH}{{22}}", text):
        return Hash("apr1", text)
    if found := re.fullmatch(rf"\$([56])\$(?:rounds=([0-9]{{1,9}})\$)?{_HASH}{{1,16}}\$({_HASH}+)", text):
        name, length = ("sha256", 43) if found[1] == "5" else ("sha512", 86)
        rounds = int(found[2] or 5000)
        if len(found[3]) == length and 1000 <= rounds <= _MOST_ROUNDS:
            return Hash(f"{name} {rounds}", text)
        raise HashError(f"is SHA-crypt cut short, or of more than {_MOST_ROUNDS} rounds or less than 1000")
    if re.fullmatch(r"\{SHA\}[A-Za-z0-9+/]{27}=", text):
        return Hash("sha1", text)
    raise HashError("is no hash by bcrypt, SHA-crypt, apr1 or SHA-1; write it anew with htpasswd -B")
