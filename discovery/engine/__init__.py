"""Docker's API, which the registries docker and swarm share.

client          HTTP over a unix socket, TCP or TLS: which version to speak, questions, the stream of events
events          one stream of events for all watches of the same engine in this process
labels          what labels say of an instance: port, weight, zone, tags
answers         the types of what stands in an answer, checked where it is read
"""
