"""What is shown of the workers themselves."""

from __future__ import annotations

import pytest

from proxy.workers.metrics import Worker, Workers, worker_metrics


def shown(workers: Workers | None, now: float = 100.0) -> dict[str, dict[str, float]]:
    return {
        family.name: {",".join(sample.labels.values()): sample.value for sample in family.samples}
        for family in worker_metrics(workers, now)
    }


def test_one_process_has_none() -> None:
    assert all(not values for values in shown(None).values())


def test_workers_are_counted_by_state_and_shown_by_number() -> None:
    running = (Worker(1, "serving", 99.5), Worker(2, "serving", 98.0), Worker(3, "starting"))
    found = shown(Workers(running, {"signal": 2}, {2: 40, 1: 60}))
    assert found == {
        "pointsman_workers": {"starting": 1, "serving": 2, "draining": 0},
        "pointsman_worker_restarts": {"signal": 2, "status": 0},
        "pointsman_worker_report_age_seconds": {"1": 0.5, "2": 2.0},
        "pointsman_worker_requests": {"1": 60, "2": 40},
    }


@pytest.mark.parametrize("state", ["starting", "serving", "draining"])
def test_every_state_is_shown(state: str) -> None:
    found = shown(Workers((Worker(1, state),)))  # type: ignore[arg-type]
    assert found["pointsman_workers"] == {"starting": 0, "serving": 0, "draining": 0, state: 1}
