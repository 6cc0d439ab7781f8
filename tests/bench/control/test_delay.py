import pytest

from bench.control.delay import Seen, TooLateError, first, last


def seen(*who):
    """Answers a millisecond apart from the second 10 on, each of which took half of one."""
    return [Seen(10 + number / 1000, 10.0005 + number / 1000, name) for number, name in enumerate(who)]


def test_the_first_request_counts_when_its_answer_is_there():
    seconds, errors = first(seen("a", "b", "a", "new", "new"), "new", 10.0)
    assert seconds == pytest.approx(0.0035)
    assert errors == 0


def test_the_last_request_counts_when_it_was_asked():
    seconds, errors = last(seen("a", "old", "b", "old", "a", "b", "a"), "old", 10.0, quiet=3)
    assert seconds == pytest.approx(0.003)
    assert errors == 0


def test_an_instance_is_gone_only_after_some_answers_of_others():
    seconds, _ = last(seen("old", "a", "b", "old", "a", "b", "c", "old"), "old", 10.0, quiet=3)
    assert seconds == pytest.approx(0.003)


def test_one_that_got_no_request_after_the_change_was_gone_at_once():
    assert last(seen("a", "b", "a"), "old", 10.0, quiet=3) == (0.0, 0)
    assert last(seen("old", "b", "a", "a"), "old", 10.001, quiet=3) == (0.0, 0)


def test_answers_that_are_errors_are_counted():
    assert first(seen("a", "", "", "new"), "new", 10.0)[1] == 2
    assert last(seen("", "old", "", "a", "b"), "old", 10.0, quiet=3)[1] == 2


def test_a_change_that_does_not_show_is_too_late():
    with pytest.raises(TooLateError, match="got no request"):
        first(seen("a", "b"), "new", 10.0)
    with pytest.raises(TooLateError, match="still got requests"):
        last(seen("old", "a", "old"), "old", 10.0, quiet=3)
