"""Containers of a Docker Engine, chosen by their labels.

registry        the watch: events are followed, then containers listed, and each one that changed is looked at
containers      what is known of the containers, and what follows from events and answers
entries         the instance that a container describes
"""

from discovery.docker.registry import DockerRegistry

__all__ = ["DockerRegistry"]
