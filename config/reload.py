"""The keys of how a configuration changes while it is at work."""

from config.declaring import Field
from config.frozen import Model
from config.units import Bool


class Reload(Model):
    """When this file is read again while it is at work, beside SIGHUP and POST /-/reload."""

    watch: Bool = Field(
        default=True,
        description="true: when it changes, or a file of keys or passwords that it names. It is looked at once a "
        "second; one with mistakes, half written for one, changes nothing.",
    )
