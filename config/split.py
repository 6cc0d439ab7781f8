"""The keys of a split: requests shared between services by weight."""

from collections.abc import Mapping
from typing import Annotated, Any

from config.balancing import Sticky
from config.declaring import Field
from config.frozen import FrozenMapping, Model
from config.texts import CookieName, ServiceName
from config.units import Bool, Int

MOST_WEIGHT = 10_000


def some_weight(given: Mapping[str, Any]) -> str | None:
    """Want at least one service that gets requests."""
    services = given.get("services")
    if not isinstance(services, Mapping):
        return None
    weights = list(services.values())
    if not weights:
        return "must have at least one service under services"
    return "must give at least one of its services a weight above 0" if all(weight == 0 for weight in weights) else None


class SplitSticky(Sticky):
    """A client stays with the service that it had before, by a cookie."""

    cookie: CookieName = Field(
        default="", description="The cookie's name. Left out: pointsman_ and the name of the split."
    )


class Split(Model):
    """Requests shared between services, each request by chance."""

    rules = (some_weight,)

    services: FrozenMapping[ServiceName, Annotated[Int, Field(ge=0, le=MOST_WEIGHT)]] = Field(
        description="The weight of each service, 0 to 10000: its share is its weight out of their sum.",
        json_schema_extra={"minProperties": 1},
    )
    sticky: SplitSticky | None = Field(
        default=None,
        description="A client stays with the service that it had before, as long as that has a weight; {} takes the "
        "defaults. Left out: each request is shared out anew.",
    )
    fall_over: Bool = Field(
        default=False,
        description="true: requests for a service without a healthy instance go to the others. false: they do not.",
    )
