"""What instances send, by concept.

framing, chunks, surplus, bodiless       where a body ends, and whose what stands behind it is
syntax, statuses, hops                   how a head is written, and what its fields are for
interim, early, breaks                   what comes before the response, before the request is whole, or not at all
"""
