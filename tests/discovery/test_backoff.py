from random import Random

from discovery.backoff import Backoff


class Highest(Random):
    """Draws the end of each range."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_delays_double_up_to_the_cap():
    backoff = Backoff(Highest(), base=0.2, cap=2.0)
    assert [round(backoff.next(), 3) for _ in range(6)] == [0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


def test_reset_begins_again():
    backoff = Backoff(Highest())
    first = backoff.next()
    backoff.next()
    backoff.reset()
    assert backoff.next() == first


def test_each_delay_is_drawn_between_half_its_ceiling_and_all_of_it():
    delays = []
    for seed in range(200):
        backoff = Backoff(Random(seed), base=1.0, cap=8.0)
        backoff.next()
        delays.append(backoff.next())
    assert 1.0 <= min(delays) < 1.1
    assert 1.9 < max(delays) <= 2.0


def test_a_fleet_does_not_knock_in_step():
    assert Backoff(Random(1)).next() != Backoff(Random(2)).next()
