"""How soon a change in Consul moves traffic, and what following Consul costs: `python -m bench.control`.

pointsman beside Traefik with its watch of Consul's catalog, and HAProxy with Consul's DNS. The map, in the order of a
run:

    __main__.py    the command line, the progress lines, the order of the measurements
    programs.py    finds the programs; Traefik comes from PyPI, into the user's cache folder
    followers.py   how each proxy is configured and started, as a table
    catalog.py     what is in Consul: registered, deregistered, changed a hundred times a second
    instance.py    the program behind the proxies: instances that answer with their port
    wire.py        a kept connection that is asked by hand, with as little work as possible
    delay.py       from a change to the first, or the last, request that an instance gets
    load.py        CPU time and memory, at rest and while instances change
    report.py      percentiles, the tables and the JSON document

The Consul agent and the free ports are those of the tests: tests/servers, of which nothing here needs pytest.
docs/bench.md says what the figures mean.
"""
