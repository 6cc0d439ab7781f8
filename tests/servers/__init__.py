"""Real servers for the tests: found, started on free ports, and ended with the tests.

`fetch`    unpacks Debian packages into the user's cache folder, so that each machine tests against the same version
`ports`    picks free TCP ports
`process`  runs one server process: start, wait until ready, stop, kill, freeze, start again
`consul`   a Consul agent

The fixtures that hand them to tests are in tests/conftest.py; a server that cannot be had skips its tests, with the
reason.
"""
