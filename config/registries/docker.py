"""The keys of containers of a Docker Engine."""

from typing import Literal

from config.declaring import Field
from config.frozen import FrozenMapping
from config.registries.engine import OfEngine, certificates, some_choice
from config.texts import NotEmpty, PlainHost


class Docker(OfEngine):
    """Running containers of one Docker Engine, by their labels; it tells of each change at once."""

    rules = (some_choice, certificates)

    service: NotEmpty | None = Field(
        default=None,
        description="The service's name: containers with the label pointsman.service=NAME are its instances.",
    )
    labels: FrozenMapping[NotEmpty, str] = Field(
        default_factory=dict,
        validate_default=True,
        description="Labels that the containers must have besides, or instead: com.docker.compose.service: web. An "
        "empty value stands for any.",
    )
    address: Literal["container", "published"] = Field(
        default="container",
        description="Where requests go. container: to the container's own address; published: to the port of the host "
        "that it published.",
    )
    host: PlainHost | None = Field(
        default=None,
        description="The address of the engine's machine, for published ports and for containers on its network. Left "
        "out: 127.0.0.1 with a unix socket, else the host in engine.",
    )
