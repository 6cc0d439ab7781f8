"""The keys of a mirror: which requests are sent to another service too."""

from typing import Annotated

from config.declaring import Field
from config.frozen import Model
from config.texts import ServiceName
from config.traffic import KeptBody
from config.units import Int, PositiveDuration, Share


class Mirror(Model):
    """Copies of a route's requests to another service, whose answers nobody gets and whose failures nobody sees."""

    service: ServiceName = Field(description="The service that gets the copies: a name under services.")
    share: Share = Field(default=1.0, description="The share of the requests that is copied, drawn by chance.")
    in_flight: Annotated[Int, Field(ge=1, le=100_000)] = Field(
        default=100, description="So many copies may be under way to the service at a time; beyond it none are made."
    )
    max_body: KeptBody = Field(default=65536, description="A request with a longer body than this is not copied.")
    timeout: PositiveDuration = Field(
        default=30.0, description="How long a copy may take, from the beginning to the end of its response."
    )
