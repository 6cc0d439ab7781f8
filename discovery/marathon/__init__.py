"""Apps in Marathon.

registry        the watch: an app is read again whenever Marathon's events say that something happened
events          the stream of events, of which no more is used than that something happened
apps            the instances that an app's tasks are

The API: https://mesosphere.github.io/marathon/api-console/index.html and /docs/event-bus.html beside it.
"""

from discovery.marathon.registry import MarathonRegistry

__all__ = ["MarathonRegistry"]
