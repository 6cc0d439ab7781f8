"""The keys of how it is found out which instances work."""

from typing import Annotated

from config.declaring import Field
from config.frozen import Model
from config.probe import Probe
from config.units import Bool, Duration, Int, PositiveDuration, Share

Consecutive = Annotated[Int, Field(ge=0, le=1000)]


class Passive(Model):
    """What traffic tells of an endpoint: one whose requests keep failing is ejected for a time."""

    enabled: Bool = Field(default=True, description="false: no endpoint is ejected for what its requests met.")
    consecutive_5xx: Consecutive = Field(
        default=5,
        description="So many responses in a row with a status of 500 or more eject it; 0 to 1000. 0: they are not "
        "counted.",
    )
    consecutive_local_failures: Consecutive = Field(
        default=5,
        description="So many requests in a row without a whole response eject it: connections that failed or broke, "
        "time-outs, malformed responses; 0 to 1000. 0: they are not counted.",
    )
    consecutive_gateway_errors: Consecutive = Field(
        default=0,
        description="So many responses in a row with a status of 502, 503 or 504 eject it; 0 to 1000. 0: they are not "
        "counted by themselves.",
    )
    interval: PositiveDuration = Field(
        default=10.0,
        description="How long the endpoints are watched before they are compared with each other. For each that an "
        "endpoint was healthy one of its ejections is forgotten, and the next one is so much shorter.",
    )
    success_rate_factor: Annotated[float, Field(ge=0, le=10)] = Field(
        default=1.9,
        description="One whose share of requests that went well is this many standard deviations below the mean is "
        "ejected; 0 to 10. 0: they are not compared.",
    )
    success_rate_min_endpoints: Annotated[Int, Field(ge=2, le=1000)] = Field(
        default=5, description="They are compared when so many of them had enough requests; 2 to 1000."
    )
    success_rate_min_requests: Annotated[Int, Field(ge=1, le=1000000)] = Field(
        default=100, description="Enough requests in an interval for the comparison; 1 to 1000000."
    )
    failure_percentage: Share = Field(
        default=0.0, description="One of whose requests at least this share failed is ejected. 0%: none for that."
    )
    failure_percentage_min_endpoints: Annotated[Int, Field(ge=1, le=1000)] = Field(
        default=5, description="That counts when so many of them had enough requests; 1 to 1000."
    )
    failure_percentage_min_requests: Annotated[Int, Field(ge=1, le=1000000)] = Field(
        default=50, description="Enough requests in an interval for that; 1 to 1000000."
    )
    base_ejection_time: PositiveDuration = Field(
        default=30.0, description="How long the first ejection lasts; each further one lasts longer."
    )
    max_ejection_time: PositiveDuration = Field(
        default=300.0, description="How long an ejection lasts at the most; base_ejection_time, if that is longer."
    )
    ejection_jitter: Duration = Field(
        default=0.0, description="Up to so much is added to each ejection at random, so that not all end at once."
    )
    max_ejection_percent: Share = Field(
        default=0.1,
        description="The share of a service's endpoints that may be ejected at a time for what their requests met. "
        "One always may, as long as another is left.",
    )


class Health(Model):
    """How it is found out which instances work."""

    probe: Probe | None = Field(
        default=None, description="The check to make of every instance. Left out: none is made."
    )
    passive: Passive = Field(
        default=Passive(), description="What traffic tells of an endpoint. {enabled: false} does without."
    )
    panic_header: Bool = Field(
        default=False,
        description="true: responses have the header X-Pointsman-Panic: true while health is ignored.",
    )
    panic_threshold: Share = Field(
        default=0.5,
        description="When less than this share of a service's instances is healthy, health is ignored and all are "
        "used: an answer from a doubtful instance beats a crowd on the few that are left. 0% never does so.",
    )
