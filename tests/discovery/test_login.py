from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from discovery.login import BasicLogin
from discovery.registry import RegistryError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_name_and_a_password():
    assert BasicLogin("me", "sécret:1").headers() == {"Authorization": "Basic bWU6c8OpY3JldDox"}
    assert BasicLogin("").headers() == {}


def test_the_password_file_is_read_each_time(tmp_path: Path):
    file = tmp_path / "password"
    login = BasicLogin("me", password_file=file)
    with pytest.raises(RegistryError, match=r"the password file .*password cannot be read"):
        login.headers()
    file.write_text("one\n")
    first = login.headers()
    file.write_text("two\n")
    assert first == {"Authorization": "Basic bWU6b25l"}
    assert login.headers() == {"Authorization": "Basic bWU6dHdv"}
