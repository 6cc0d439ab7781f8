"""The configuration of a process that registers an instance and balances nothing."""

from pydantic import Field

from config.frozen import FrozenMapping
from config.model import Config, Listener, Route, Service
from config.register import Registered
from config.texts import ServiceName


class Provider(Config):
    """A configuration that need not have listeners, routes and services; what it registers it must say."""

    listeners: tuple[Listener, ...] = Field(default=(), description=Config.model_fields["listeners"].description)
    routes: tuple[Route, ...] = Field(default=(), description=Config.model_fields["routes"].description)
    services: FrozenMapping[ServiceName, Service] = Field(
        default_factory=dict, validate_default=True, description=Config.model_fields["services"].description
    )
    to_register: Registered = Field(alias="register", description="What is registered.")
