"""Certificates that are got from an authority and kept young (ACME, RFC 8555), proved by HTTP-01.

From the inside out:

- `pace`        when a certificate is due, and when it may be tried again; pure
- `files`       the folder: certificates, keys, the account's key, proofs, orders so far, the lock
- `making`      keys, requests for certificates, placeholders
- `wanted`      what an order is made with, and why it may fail
- `authority`   one order at an authority, blocking; the only part that loads the library
- `challenges`  answers to the authority's questions, before any route
- `renewals`    the task that owns it all, and what is told of it
"""
