"""The keys of how a new process takes the place of a running one."""

from pydantic import Field

from config.frozen import Model
from config.units import Duration, PathText


class Takeover(Model):
    """How `pointsman run --takeover` gets the listening sockets of the process that runs."""

    socket: PathText | None = Field(
        default=None,
        description="The unix socket at which the running process offers them to processes of the same user. A "
        "relative path starts at this file's folder. Left out: takeover.sock in state_dir.",
    )
    timeout: Duration = Field(
        default=60.0,
        ge=0.1,
        le=600.0,
        description="How long the new process may take until it is ready; then it ends, and the running one goes on.",
    )
