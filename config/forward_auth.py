"""The keys of forward authentication: a service that says whether a request may pass."""

from config.declaring import ConfigDict, Field
from config.frozen import Model
from config.own_fields import FieldToInstances
from config.texts import ProbePath, ServiceName
from config.units import Bool, PositiveDuration


class ForwardAuth(Model):
    """A service that is asked before the request goes on: a 2xx lets it pass, any other answer is the client's."""

    model_config = ConfigDict(serialize_by_alias=True)  # a model of pydantic's has a `copy` of its own

    service: ServiceName = Field(description="The service that is asked: a name under services.")
    path: ProbePath = Field(default="/", description="What it is asked for: a path, with a query if it needs one.")
    timeout: PositiveDuration = Field(
        default=1.0, description="How long it may take to answer, all attempts and the connection included."
    )
    request_headers: tuple[FieldToInstances, ...] | None = Field(
        default=None,
        description="Which of the request's headers it gets, beside X-Forwarded-For, -Proto, -Host, -Method and -Uri, "
        "which it always gets. Left out: all but those of the body, of ranges and of conditions.",
    )
    copied: tuple[FieldToInstances, ...] = Field(
        default=(),
        alias="copy",
        description="Which headers of its answer the instance gets; those that the client sent are dropped.",
    )
    fail_open: Bool = Field(
        default=False,
        description="true: when the service cannot be asked, does not answer in time or answers with a 5xx, the "
        "request passes. false: it gets a 503, or the 5xx.",
    )
