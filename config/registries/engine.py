"""The keys that docker and swarm have in common: where the engine is, and how services are chosen there."""

from collections.abc import Mapping
from typing import Annotated, Any

from config.declaring import Field
from config.frozen import FrozenMapping, Model
from config.texts import EngineUrl, LabelPrefix, NotEmpty
from config.units import PathText, Port, PositiveDuration

_FILES = ("ca_file", "cert_file", "key_file")


def some_choice(given: Mapping[str, Any]) -> str | None:
    """Want something that chooses: all containers of an engine are nobody's service."""
    return None if "service" in given or given.get("labels") else "must have service or labels, or both"


def certificates(given: Mapping[str, Any]) -> str | None:
    """Want certificates only where they are shown, and a certificate with its key."""
    files = [key for key in _FILES if key in given]
    if files and not str(given.get("engine", "")).startswith("https://"):
        return f"has {' and '.join(files)} with an engine that is not https://: leave out what only TLS has"
    pair = [key for key in ("cert_file", "key_file") if key in given]
    if len(pair) == 1:
        return f"has {pair[0]} alone: add {'key_file' if pair[0] == 'cert_file' else 'cert_file'}"
    return None


class OfEngine(Model):
    """What docker and swarm have in common."""

    service: NotEmpty | None = None
    labels: FrozenMapping[NotEmpty, str] = Field(default_factory=dict, validate_default=True)
    engine: EngineUrl = Field(
        default="unix:///var/run/docker.sock",
        description="Where the engine's API is: unix:///path of its socket, or of a read-only proxy of it; "
        "tcp://host:port; or https://host:port for TLS.",
    )
    ca_file: PathText | None = Field(
        default=None,
        description="A file with the authorities that vouch for the engine's certificate. Left out: the system's.",
    )
    cert_file: PathText | None = Field(
        default=None, description="A file with the certificate that is shown to the engine. Left out: none is."
    )
    key_file: PathText | None = Field(default=None, description="A file with the certificate's key.")
    port: Port | None = Field(
        default=None, description="The port of instances that have no label for it. Left out: the only one there is."
    )
    network: Annotated[str, Field(max_length=200)] = Field(
        default="",
        description="The network on which requests are sent, for instances that are on several. Empty: the only one.",
    )
    prefix: LabelPrefix = Field(
        default="pointsman.",
        description="What the labels that are read begin with, up to the dot: pointsman.port, pointsman.weight.",
    )
    timeout: PositiveDuration = Field(default=5.0, description="How long an answer may take.")
