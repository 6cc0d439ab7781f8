"""Services of a Docker Swarm: their tasks, or their virtual addresses.

registry        the watch: polled, slowly while nothing happens and quickly after an event
entries         the instances that services, tasks and nodes describe
"""

from discovery.swarm.registry import SwarmRegistry

__all__ = ["SwarmRegistry"]
