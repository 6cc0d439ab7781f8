"""See before you choose: the real balancers and the real health logic in virtual time, against a described world.

What is asked for:

    world.py         the scenario: every key, what it means, its default
    reading.py       a scenario file in, a `Scenario` or all its mistakes out; its JSON schema

What then happens, without a socket, a task or a sleep:

    clockwork.py     virtual time: what is due next
    arrivals.py      when requests come, and from whom
    durations.py     how long an instance works on a request
    replica.py       an instance: it works, queues, slows down, stalls, fails and dies
    sidecar.py       a proxy: its pool, its tries and retries, its probes; counts as proxy/http/dispatch.py does
    engine.py        one policy in the whole of the world, from its first request to its last

What is told of it:

    recording.py     what is noted down while it happens
    results.py       the figures, and how far policies lie apart
    table.py         as tables for a terminal
    report.py        as an HTML page; plots.py draws its plots
    command.py       `pointsman simulate`; comparing.py does what it says
"""
