import pytest

from balancers.policies import names
from bench.picks import main, measure


def test_every_policy_is_measured(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["picks", "20"])
    main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "20 endpoints"
    assert [line.split()[0] for line in lines[2:]] == names()


@pytest.mark.parametrize("policy", ["random", "ring_hash"])
def test_what_is_measured_costs_something(policy):
    cost = measure(policy, 200)
    assert cost.pick > 0
    assert 0 < cost.change <= cost.worst
