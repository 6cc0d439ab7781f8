"""What clients send, by concept.

lengths, codings, chunks, smuggling      where a body ends, and where the next request begins
syntax, lines, hosts, versions, limits   how a head is written
hops, expect, switching, origins         what fields are for
"""
