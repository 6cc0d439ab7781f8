"""Real servers for the tests: found, started on free ports, and ended with the tests.

`fetch`    unpacks Debian packages into the user's cache folder, so that each machine tests against the same version
`maven`    fetches Java's jars into the same folder
`debian`   programs of Debian's, such as clients: on PATH, fetched, or installed
`wanted`   skips a test with the reason when what it wants cannot be had
`ports`    picks free TCP ports
`process`  runs one server process: start, wait until ready, stop, kill, freeze, start again
`consul`   a Consul agent
`etcd`     an etcd server
`eureka`   Netflix' Eureka server; `eureka_pom.xml` says what it is made of
`unbound`  a name server
`zookeeper` a ZooKeeper server; `java` is what it runs on
`document` a web server that holds one JSON document, in a thread of the tests' own process

Processes of our own, run while a `with` block lasts:

`program`    what they have in common, and how one asks them something
`command`    the command in the tests' own process, for what is over in a moment
`pointsman`  pointsman, as users run it, with its admin API and its memory
`embedded`   the embedded registry; `registrant` is `pointsman register`
`instances`  real instances of a service; `instance` is the program, `site` another one: a page and its `assets`
`load`       clients that go on asking, and a record of what became of each request
`crowd`      thousands of clients that hold a connection each, and hardly use it
`visitor`    one client in the test's own event loop, step by step
`fleet`      the instances of one service, a process each, which can be made to fail one by one
`faults`     all of these together, and which fault may answer for which failed request

The fixtures that hand them to tests are in tests/conftest.py; a server that cannot be had skips its tests, with the
reason.
"""
