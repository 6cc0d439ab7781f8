"""Services in Kubernetes, by their EndpointSlices.

registry        the watch: the slices of a service are listed, and then followed from that version on
slices          what is asked of the API server, and what follows from its answers
entries         the endpoints that one slice describes
choice          which endpoints make up the set: one address family, each address once, the conditions, the zone hints
listing         which services there are
api             HTTP, JSON and the refusals
access          where the API server is and who we are, told by the pod that we run in
kubeconfig      the same, told by a kubeconfig file
"""

from discovery.kubernetes.registry import KubernetesRegistry

__all__ = ["KubernetesRegistry"]
