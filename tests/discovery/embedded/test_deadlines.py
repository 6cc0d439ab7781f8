from __future__ import annotations

import math

from discovery.embedded.deadlines import Deadlines


def test_what_is_due_comes_out_once_and_in_order():
    deadlines = Deadlines()
    for key, moment in (("b", 2.0), ("a", 1.0), ("never", math.inf), ("c", 3.0)):
        deadlines.add(key, moment)
    assert deadlines.earliest == 1.0
    assert deadlines.due(2.0) == ["a", "b"]
    assert deadlines.due(2.0) == []
    assert deadlines.due(99.0) == ["c"]
    assert deadlines.earliest == math.inf


def test_an_earlier_moment_counts_and_a_later_one_waits_for_the_first():
    deadlines = Deadlines()
    deadlines.add("a", 5.0)
    deadlines.add("a", 9.0)
    deadlines.add("a", 3.0)
    assert deadlines.due(3.0) == ["a"]
    deadlines.add("a", 9.0)
    assert deadlines.due(5.0) == []
    assert deadlines.due(9.0) == ["a"]
