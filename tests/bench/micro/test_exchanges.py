from bench.micro.exchanges import INSTANCES, Exchanges, Transport
from bench.micro.messages import BODY, response, small_request


def test_an_exchange_takes_a_request_to_an_instance_and_its_answer_to_the_client():
    exchanges = Exchanges()
    upstream = exchanges.ask(small_request(7))
    assert isinstance(upstream.transport, Transport)
    sent = upstream.transport.written
    assert sent.startswith(b"GET /7 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n")
    assert b"\r\nX-Forwarded-For: 127.0.0.1\r\n" in sent
    assert b"\r\nVia: 1.1 pointsman\r\n" in sent
    upstream.data_received(response() + BODY)
    assert exchanges.client.written.startswith(b"HTTP/1.1 200 OK\r\n")
    assert exchanges.client.written.endswith(b"\r\n\r\n" + BODY)


def test_the_instances_take_turns_and_every_exchange_is_counted():
    exchanges = Exchanges()
    asked = []
    for number in range(2 * INSTANCES):
        asked.append(exchanges.ask(small_request(number)))
        asked[-1].data_received(response(number) + BODY)
    assert len(set(asked)) == INSTANCES
    assert asked[:INSTANCES] == asked[INSTANCES:]
    assert exchanges.traffic.by_class[2] == 2 * INSTANCES
    assert exchanges.traffic.in_flight == 0
