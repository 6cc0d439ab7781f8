"""Real servers for the tests: found, started on free ports, and ended with the tests.

`fetch`    unpacks Debian packages into the user's cache folder, so that each machine tests against the same version
`ports`    picks free TCP ports
`process`  runs one server process: start, wait until ready, stop, kill, freeze, start again
`consul`   a Consul agent

Processes of our own, run while a `with` block lasts:

`program`    what they have in common, and how one asks them something
`pointsman`  pointsman, as users run it, with its admin API and its memory
`instances`  real instances of a service; `instance` is the program
`load`       clients that go on asking, and a record of what became of each request

The fixtures that hand them to tests are in tests/conftest.py; a server that cannot be had skips its tests, with the
reason.
"""
