"""Tasks in Mesos, of whatever framework.

registry        the watch: a subscription to a master's operator API, which first tells its state and then each change
recordio        how the events lie in that stream
cluster         the state that follows from the events
tasks           the instance that a task is

The API: https://mesos.apache.org/documentation/latest/operator-http-api/
"""

from discovery.mesos.registry import MesosRegistry

__all__ = ["MesosRegistry"]
