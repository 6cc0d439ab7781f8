"""From what the user asked for to parts that do it: the one place that knows both.

services.py     a service, and the keepers that feed it       listeners.py   a listener, and the access log
routes.py       routes, and the splits they lead to
catalogs.py     services that a registry lists by itself      checks.py      mistakes that only the parts know of
guards.py       what stands before listeners and routes       files.py       mistakes in the files that are named
acme.py         certificates from an authority
"""
