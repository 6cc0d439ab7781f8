"""How do the bytes get there and back, and who may see what happens?

A request, in the order in which it passes:

    listener.py      a bound address and its clients          downstream.py   a client's connection
    heads.py         reading a message's head                 fields.py       what its field lines mean
    bodies.py        where a body ends                        buffers.py      how much of it we hold
    routes.py        from a request to its service            exchange.py     one request and its response
    connections.py   idle connections to an endpoint          upstream.py     an instance's connection
    answers.py       what we answer by ourselves

Around it:

    service.py       one service at work: pool, connections, probes, watch
    prober.py        asks instances whether they work         counters.py     plain integers of the hot path
    admin.py         the admin API                            metrics.py      the collector for Prometheus
    journal.py       what happened, and why                   logs.py         JSON or text
    tasks.py         tasks with an owner

And the whole:

    assemble.py      from the configuration to parts          application.py  starts and ends them
    command.py       where the command begins                 cli.py          the command line
    demo.py, sample.py, registry_command.py
"""
