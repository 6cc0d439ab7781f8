"""How does a raw connection get through? To a service's pool like a request, its bytes untouched.

    listener.py      a bound address and its clients          client.py        one of them, until it has an instance
    hello.py         what a TLS client says first             names.py         from the name in it to a service
    conversation.py  one connection: who gets it, its end     raw.py           the instance's side, until joined
    counts.py        plain integers of the connections        metrics.py       what Prometheus is told of them

The pipe of both sides, its back-pressure and its ends are those of a tunnel: proxy/http/pipe.py.
"""
