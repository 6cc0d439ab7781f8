"""Which tests share a worker."""

from __future__ import annotations

import pytest

from tests.workers import scope


@pytest.mark.parametrize(
    ("nodeid", "name"),
    [
        ("tests/config/test_load.py::test_one", "tests/config/test_load.py"),
        ("tests/test_documents.py::test_one[a::b]", "tests/test_documents.py"),
        ("tests/discovery/test_keeper.py::test_one", "tests/discovery/test_keeper.py"),
        ("tests/discovery/etcd/test_login.py::test_one", "registry etcd"),
        ("tests/discovery/contract/test_watch.py::test_one[etcd-cancelled]", "registry etcd"),
        ("tests/end_to_end/test_rolls.py::test_one[etcd]", "registry etcd"),
    ],
)
def test_a_registry_or_a_file_shares_a_worker(nodeid: str, name: str) -> None:
    assert scope(nodeid) == name


def test_no_more_than_two_are_under_load_at_once(request: pytest.FixtureRequest) -> None:
    folder = request.config.rootpath / "tests/end_to_end"
    scopes = {scope(f"tests/end_to_end/{file.name}::test_one") for file in folder.glob("test_*.py")}
    assert scopes == {"under load 0", "under load 1"}
