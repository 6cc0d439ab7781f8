"""The keys of how a new process takes the place of a running one."""

import os
from pathlib import Path
from typing import Annotated

from config.declaring import Field, field_validator
from config.frozen import Model
from config.units import UNIX_PATH_MAX, Duration, PathText, at_least, at_most, format_duration


class Takeover(Model):
    """How `pointsman run --takeover` gets the listening sockets of the process that runs."""

    socket: PathText | None = Field(
        default=None,
        description="The unix socket at which the running process offers them to processes of the same user. A "
        "relative path starts at this file's folder. Left out: takeover.sock in state_dir.",
    )
    timeout: Annotated[Duration, at_least(0.1, format_duration), at_most(600.0, format_duration)] = Field(
        default=60.0,
        description="How long the new process may take until it is ready; then it ends, and the running one goes on.",
    )

    @field_validator("socket")
    @classmethod
    def _fits(cls, path: Path | None) -> Path | None:
        if path is not None and len(os.fsencode(path)) > UNIX_PATH_MAX:
            raise ValueError(f"must have at most {UNIX_PATH_MAX} bytes, as all unix sockets: choose a shorter path")
        return path
