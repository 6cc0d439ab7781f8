"""The embedded registry: the part of Consul's HTTP API that a service registry needs, in one process and one file.

A write is decided, made durable, made visible and acknowledged, in this order and one batch at a time:

`api`         the HTTP endpoints: reads questions, writes answers
`definition`  what may be registered, and what a malformed registration is told
`duration`    Consul's durations: "1m30s", or whole nanoseconds
`refusal`     the error that becomes an HTTP answer
`draft`       decides: what an operation changes, on top of a catalog, not visible yet
`writer`      carries drafts from decided to acknowledged
`store`       makes them durable: one SQLite file
`catalog`     makes them visible: services, checks and their indexes
`deadlines`   which checks run out next
`waiting`     blocked queries and what wakes them
`probing`     runs the HTTP and TCP checks
`rendering`   the catalog in Consul's JSON
`server`      all of it as one thing that starts and stops

docs/embedded_registry.md says what it answers, where it differs from Consul, and its limits.
"""
