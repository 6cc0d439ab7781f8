import httptools
import pytest

from balancers.policies import names
from bench.micro.cases import cases
from bench.micro.messages import BODY, DIFFERENT, browser_request, response, small_request
from proxy.http.heads import HeadLimits, RequestReader, ResponseReader

HEADS = [case for case in cases() if case.name.startswith(("request head", "response head", "exchange"))]


def test_every_balancer_is_measured_by_the_size_of_its_pool_and_routes_by_their_number():
    found = [case.name for case in cases()]
    assert len(set(found)) == len(found)
    assert {f"pick/{name}/{size}" for name in names() for size in (3, 100, 10_000)} <= set(found)
    assert {f"route/{count}" for count in (1, 10, 100, 1000, 10_000)} <= set(found)


@pytest.mark.parametrize("case", HEADS, ids=lambda case: case.name)
def test_heads_and_exchanges_go_on_for_as_often_as_they_are_told(case):
    timed = case.make()
    for _ in range(3):
        timed(5)


@pytest.mark.parametrize("name", ["pick/least_request/3", "pick/ring_hash/100", "route/10"])
def test_picks_and_routes_go_on_for_as_often_as_they_are_told(name):
    timed = next(case for case in cases() if case.name == name).make()
    timed(5)


@pytest.mark.parametrize("request_head", [small_request, browser_request])
def test_no_request_head_is_known_when_its_turn_comes_again(request_head):
    reader = RequestReader(HeadLimits())
    for number in range(DIFFERENT):
        assert reader.read(request_head(number)).known is None
    assert reader.read(request_head(0)).known is None
    assert reader.read(request_head(0)).known is not None


def test_no_response_head_is_known_when_its_turn_comes_again():
    reader = ResponseReader(HeadLimits())
    for number in range(DIFFERENT):
        assert reader.read(response(number), to_head=False).written is None
    assert reader.read(response(0), to_head=False).written is None


def test_the_answer_is_as_long_as_it_says():
    class Ended:
        ended = False

        def on_message_complete(self):
            self.ended = True

    seen = Ended()
    httptools.HttpResponseParser(seen).feed_data(response() + BODY)
    assert seen.ended
