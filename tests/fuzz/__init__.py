"""Does pointsman understand bytes as others do? Streams of messages, good and bad, and h11 as a second opinion.

Whatever both take for a message they agree on, and what one of them alone takes is in a table, with the reason. What
pointsman writes for it is plain, and means the same to itself, to h11 and to llhttp. It makes no difference how the
bytes were cut, and nothing is raised that is not meant to be.

    messages.py      streams, drawn by hypothesis             seeds.py        the classics, also to begin from
    memory.py        pointsman without sockets                opinions.py     h11 and llhttp
    written.py       a reader of what pointsman writes        outcome.py      what somebody made of a stream
    forwarding.py    what ought to be written                 differences.py  the table
    properties.py    what must be true of every stream        tries.py        properties with what feeds them

`python -m tests.fuzz SECONDS` tries new streams for so long, and `python -m tests.fuzz.coverage` those that reach new
code, by atheris. A stream that either finds becomes a seed.
"""
