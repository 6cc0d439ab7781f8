"""Who gets the next request?

Nothing here does I/O, reads a clock or draws a random number of its own: time and the random source are arguments, so
every decision can be tested as plain arithmetic.

    pool.py                  a service's endpoints as this process sees them: follows snapshots, knows who may be picked
    endpoint.py              the mutable record of one instance
    health.py                the state machine that ejects and readmits an endpoint
    drains.py                what an operator took out by hand
    outliers.py              who answers so much worse than the others that it should be ejected
    balancer.py              the seam: what a policy must offer
    choice.py                how a policy is put to use, on all candidates or on parts of them
    policies.py              finds a policy by its name, a user's own included

    random.py                one policy a file
    round_robin.py
    weighted_random.py
    weighted_round_robin.py
    least_request.py
    peak_ewma.py
    ring_hash.py
    maglev.py
    first.py

    slow_start.py            how much of its weight one counts with that has just come
    zones.py                 the own zone first
    subsets.py               a header of the request chooses a part of the endpoints
    overrides.py             what counts of some instances against what the registry says
    sticky.py                a client goes back to the endpoint that answered it before

    hash_keys.py             what of a request the two that hash go by
    bounded_load.py          how they keep one key from burying an endpoint
    draws.py                 a few of many at random
"""

from compiled.loading import install as _install

_install()
