"""The configuration of a process that registers an instance and balances nothing."""

from collections.abc import Mapping
from typing import Any

from config.declaring import Field
from config.frozen import FrozenMapping
from config.listener import Listener
from config.model import Config
from config.register import Registered
from config.route import Route
from config.service import Service
from config.texts import ServiceName


class Provider(Config):
    """A configuration that need not have listeners, routes and services; what it registers it must say."""

    listeners: tuple[Listener, ...] = Field(default=(), description=Config.model_fields["listeners"].description)
    routes: tuple[Route, ...] = Field(default=(), description=Config.model_fields["routes"].description)
    services: FrozenMapping[ServiceName, Service] = Field(
        default_factory=dict, validate_default=True, description=Config.model_fields["services"].description
    )
    to_register: Registered = Field(alias="register", description="What is registered.")


def model_of(data: Mapping[str, Any]) -> type[Config]:
    """Return what a file is meant to be: it may say what to register and nothing of balancing."""
    return Provider if "register" in data and not {"listeners", "routes", "services"} & data.keys() else Config
