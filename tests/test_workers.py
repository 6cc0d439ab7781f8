"""Which tests share a worker."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest

from tests.workers import Scheduling, scope


@pytest.mark.parametrize(
    ("nodeid", "name"),
    [
        ("tests/config/test_load.py::test_one", "tests/config/test_load.py"),
        ("tests/test_documents.py::test_one[a::b]", "tests/test_documents.py"),
        ("tests/discovery/test_keeper.py::test_one", "tests/discovery/test_keeper.py"),
        ("tests/discovery/etcd/test_login.py::test_one", "registry etcd"),
        ("tests/discovery/contract/test_watch.py::test_one[etcd-cancelled]", "registry etcd"),
        ("tests/end_to_end/test_rolls.py::test_one[etcd]", "registry etcd"),
        ("tests/end_to_end/test_drain.py::test_one[etcd]", "tests/end_to_end/test_drain.py"),
    ],
)
def test_a_registry_or_a_file_shares_a_worker(nodeid: str, name: str) -> None:
    assert scope(nodeid) == name


class Worker:
    """Stands in for a process, and takes what it is given."""

    def send_runtest_some(self, indices: list[int]) -> None: ...


def test_two_files_under_load_are_tested_side_by_side_while_there_is_anything_else() -> None:
    loads = [f"tests/end_to_end/test_{letter}.py" for letter in "abcd"]
    others = ["registry etcd", "tests/test_documents.py"]
    scheduling: Any = Scheduling.__new__(Scheduling)
    workers = [Worker() for _ in range(3)]
    scheduling.assigned_work = {worker: {} for worker in workers}
    scheduling.workqueue = OrderedDict((name, {f"{name}::test": False}) for name in [*loads, *others])
    scheduling.registered_collections = {worker: [f"{name}::test" for name in [*loads, *others]] for worker in workers}

    def gets(worker: Worker) -> str:
        for tests in scheduling.assigned_work[worker].values():  # which are done
            tests.update(dict.fromkeys(tests, True))
        scheduling._assign_work_unit(worker)
        return str(list(scheduling.assigned_work[worker])[-1])

    assert [gets(worker) for worker in workers] == [loads[0], loads[1], others[0]]
    assert gets(workers[2]) == others[1]
    assert gets(workers[0]) == loads[2]
    assert gets(workers[2]) == loads[3]  # nothing else is left
