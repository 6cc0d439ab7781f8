"""A user's name and password for a registry's HTTP API (RFC 7617)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from discovery.registry import RegistryError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class BasicLogin:
    """Who asks. The password, or the content of `password_file`, is read whenever a watch begins."""

    username: str
    password: str = ""
    password_file: Path | None = None

    def headers(self) -> dict[str, str]:
        """Return the header to ask with; none without a name. Raises RegistryError when the file cannot be read."""
        if not self.username:
            return {}
        password = self.password
        if self.password_file is not None:
            try:
                password = self.password_file.read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, ValueError) as error:
                raise RegistryError(f"the password file {self.password_file} cannot be read: {error}") from error
        return {"Authorization": "Basic " + base64.b64encode(f"{self.username}:{password}".encode()).decode()}
