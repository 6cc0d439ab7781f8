"""The keys of services of a Docker Swarm."""

from typing import Literal

from config.declaring import Field
from config.frozen import FrozenMapping
from config.registries.engine import OfEngine, certificates, some_choice
from config.registries.waits import Pause
from config.texts import NotEmpty


class Swarm(OfEngine):
    """A service of a Docker Swarm, asked of a manager: looked at now and then, and often after each event."""

    rules = (some_choice, certificates)

    service: NotEmpty | None = Field(default=None, description="The service's name in the Swarm.")
    labels: FrozenMapping[NotEmpty, str] = Field(
        default_factory=dict,
        validate_default=True,
        description="Labels that the service must have besides; without service: all services that have them. An empty "
        "value stands for any.",
    )
    mode: Literal["tasks", "vip"] = Field(
        default="tasks",
        description="What the instances are. tasks: each task, by its own address; vip: the service's virtual address, "
        "behind which the Swarm itself balances.",
    )
    interval: Pause = Field(
        default=5.0, description="The time from one look to the next while nothing happens; 100ms or more."
    )
