import pytest

from config.retry_on import RetryOn, format_retry_on, parse_retry_on

CASES = [
    ([], RetryOn()),
    (["connect"], RetryOn()),
    (["reset"], RetryOn(reset=True)),
    (["timeout", "reset", "connect", "reset"], RetryOn(reset=True, timeout=True)),
    ([502, "502", "504-599", "4xx"], RetryOn(statuses=((502, 502), (504, 599), (400, 499)))),
]


@pytest.mark.parametrize(("written", "on"), CASES)
def test_conditions(written, on):
    assert parse_retry_on(written) == on
    assert parse_retry_on(format_retry_on(on)) == on
    assert parse_retry_on(on) is on


@pytest.mark.parametrize(
    "wrong", ["rest", "RESET", "", 200, "3xx", "399-502", 600, "504-502", True, None, [502], 502.0]
)
def test_not_a_condition(wrong):
    with pytest.raises(ValueError, match=r"must be connect, reset, timeout, or statuses from 400 to 599 such as"):
        parse_retry_on(["reset", wrong])


@pytest.mark.parametrize("wrong", ["reset", 502, None, {}])
def test_conditions_are_a_list(wrong):
    with pytest.raises(ValueError, match="tuple"):
        parse_retry_on(wrong)


def test_statuses_that_are_covered():
    on = parse_retry_on([502, "504-511"])
    assert [status for status in range(400, 600) if on.covers(status)] == [502, *range(504, 512)]
