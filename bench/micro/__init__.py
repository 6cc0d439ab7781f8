"""What the parts of the data path cost, one by one and without a socket: `python -m bench.micro`.

The map, in the order of a run:

    __main__.py     the command line
    cases.py        what is measured, as a table: a name, and what makes the thing that is timed
    messages.py     the heads that clients and instances send
    exchanges.py    one whole exchange between a client and an instance that are not there
    timing.py       the order of the measurements, and one measurement
    document.py     the table for people, and the JSON document that `python -m bench.compare` reads

docs/bench.md says what the figures mean.
"""
