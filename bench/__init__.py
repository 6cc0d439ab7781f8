"""pointsman, nginx and HAProxy side by side: what does one request cost each of them?

    python -m bench            all workloads, about seven minutes
    python -m bench --quick    the small request only, under a minute

The map, in the order of a run:

    __main__.py     the command line and the progress lines
    install.py      finds nginx, HAProxy and wrk, or installs Debian's packages
    workloads.py    what is asked of the proxies, as a table
    contenders.py   how each proxy is started, as a table; peers/ holds their configurations and the origin's
    servers.py      a process that we start, pin to a core, wait for and stop
    load.py         wrk, and what its output says
    accounting.py   CPU time and memory of a process tree, as the kernel counts them
    rounds.py       the order of the measurements, and one measurement
    report.py       medians, ratios per round, the table and the JSON document
    machine.py      what the figures were measured on

    micro/          by itself, without sockets: what the parts of the data path cost, one by one
    control/        by itself: how soon a change in Consul moves traffic, and what following Consul costs
    compare.py      what changed between two runs of micro
    picks.py        by itself, without sockets: what a pick and a change cost, for each policy

docs/bench.md says what the figures mean and how to read them.
"""
