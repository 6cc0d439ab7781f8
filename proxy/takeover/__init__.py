"""A new process takes the place of a running one, and no connection is refused or broken.

The running process offers a unix socket; the new one, which was started with `--takeover`, asks there for the sockets
that the other listens on. What they say to each other is JSON, a line each, with the sockets beside (SCM_RIGHTS):

    new                                                        old
    hello (version)                                         ->
                                                            <- sockets, a line for each address; state
    follows its registries until all have told who is there
    ready (what it takes)                                   ->
                                                               lets go of the embedded registry, shares registrations
                                                            <- yours (what only now can be said)
    accepts, registers
    done                                                    ->
                                                            <- go
                                                               accepts no more, drains, ends

Until it has said go, the old one accepts clients as ever. Whatever goes wrong before leaves it as it was.

- `messages`  what is said, and what is not believed
- `channel`   lines and sockets over a unix socket, each wait with an end; who is at its other end
- `offer`     the old one's side
- `claim`     the new one's side
- `failing`   how nothing comes of it
- `metrics`   both as Prometheus has them
"""
