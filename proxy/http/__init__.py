"""How does a request get through, byte for byte? HTTP/1.1 and 1.0 on both sides, and tunnels.

A request, in the order in which it passes:

    downstream.py    a client's connection                    heads.py        reading a message's head
    start_lines.py   what its first line says                 bodies.py       where a body ends
    fields.py        what its field lines mean
    buffers.py       how much of it we hold                   exchange.py     one request and its response
    connections.py   idle connections to an endpoint          upstream.py     an instance's connection
    answers.py       what we answer by ourselves              client.py       how a client is held up and left

What an exchange is made of, or becomes:

    dispatch.py      who answers: tries, and another try      places.py       how many at a time, and who waits
    retries.py       what is tried again, and how often       hedge.py        a second copy, when nobody answers
    forwarding.py    where a request came from                terms.py        time-outs, limits
    pipe.py          two connections, joined
    tunnel.py        after 101: bytes both ways               websocket.py    where its frames begin
    way.py           how an endpoint is connected to
    marks.py         what the access log wants to know        resets.py       a connection broken off
    writing.py       the head that an instance is sent
    copy.py          a request that another service gets too  copies.py       all those of one service
"""
