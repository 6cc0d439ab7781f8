"""How does a request get through, byte for byte? HTTP/1.1 and 1.0 on both sides.

A request, in the order in which it passes:

    downstream.py    a client's connection                    heads.py        reading a message's head
    fields.py        what its field lines mean                bodies.py       where a body ends
    buffers.py       how much of it we hold                   exchange.py     one request and its response
    connections.py   idle connections to an endpoint          upstream.py     an instance's connection
    answers.py       what we answer by ourselves
"""
