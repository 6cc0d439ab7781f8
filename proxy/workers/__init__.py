"""Several processes in the place of one: where `workers` is more than 1.

    supervisor.py   starts the control process and the workers, and starts anew whichever dies
    control.py      the control process's side: what workers are told, what becomes of what they say
    worker.py       a worker: clients are accepted there, and nobody is followed, probed or asked
    channel.py      how messages and sockets go from one to the other; messages.py and news.py: which
    deltas.py       what of a snapshot is told          sharing.py   whose listening sockets are whose
    counted.py      what is counted; one table          tally.py     what is told of that, and summed up
    catalog.py      a catalog as a worker has it        parting.py   whose part of a limit is whose
    heritage.py     what a control process left         running.py   the way in, from the command line
    metrics.py      how the workers are

The control process is an Application that accepts nobody; a worker is the other half of one, Serving.
"""
