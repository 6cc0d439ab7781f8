"""The waits of registries that are polled."""

from typing import Annotated

from config.units import Duration, at_least, format_duration

Pause = Annotated[Duration, at_least(0.1, format_duration)]  # from one look to the next
Patience = Annotated[Duration, at_least(0.01, format_duration)]  # for an answer
