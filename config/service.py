"""The keys of a service: where its instances are found, and how requests are shared between them."""

from collections.abc import Mapping
from typing import Any, Literal

from config.balancing import Override, SlowStart, Sticky, Subset, Zones
from config.declaring import CoreSchema, Field, GetJsonSchemaHandler, JsonSchemaValue, model_serializer, model_validator
from config.discovery import Discovery, Sources
from config.frozen import FrozenMapping, Model, thaw
from config.header_rules import HasHeaderRules
from config.health import Health
from config.traffic import ServiceLimits, ServiceRetries, ServiceTimeouts
from config.units import Duration, Share
from config.upstream_tls import UpstreamTls


class Balancer(Model):
    """The policy that picks an instance. A name alone stands for {type: name}; other keys are its options."""

    type: str = Field(
        description="The policy's name: weighted_round_robin, round_robin, weighted_random, random, least_request, "
        "peak_ewma, ring_hash, maglev, first, or one of your own, from a package that registers it under the entry "
        "points pointsman.balancers."
    )
    options: FrozenMapping[str, Any] = Field(default_factory=dict, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _gather_options(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"type": value}
        if not isinstance(value, Mapping):
            return value
        rest = {key: item for key, item in value.items() if key != "type"}
        if rest.keys() == {"options"} and isinstance(rest["options"], Mapping):
            return value  # from code: Balancer(type=…, options=…)
        return {**({"type": value["type"]} if "type" in value else {}), "options": rest}

    @model_serializer
    def _as_written(self) -> str | dict[str, Any]:
        return {"type": self.type, **thaw(self.options)} if self.options else self.type

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Say that a name will do, and that options stand beside the type."""
        mapping = handler.resolve_ref_schema(handler(core))
        description = mapping.pop("description")
        del mapping["properties"]["options"]
        mapping["additionalProperties"] = True
        return {"description": description, "anyOf": [mapping["properties"]["type"], mapping]}


class Guard(Model):
    """What keeps a registry in trouble from taking a service's instances away."""

    hold: Duration = Field(
        default=60.0,
        description="How long an answer that lost too many instances, or all of them, is held back when nothing shows "
        "that they went; 0s accepts it at once.",
    )
    max_shrink: Share = Field(
        default=0.5,
        description="How large a share of the instances may be gone at once before that is too many. 100%: only an "
        "empty answer is held back, which is the default for a file.",
    )


class Settings(HasHeaderRules):
    """What a service has beside its instances."""

    balancer: Balancer = Field(default=Balancer(type="weighted_round_robin"), description="The policy that picks one.")
    sticky: Sticky | None = Field(
        default=None,
        description="Clients go back to the instance that answered them before; {} takes the defaults. Left out: they "
        "do not.",
    )
    slow_start: SlowStart | None = Field(
        default=None,
        description="What an instance gets at first that joins others or is readmitted; {} takes the defaults. Left "
        "out: its whole share at once.",
    )
    zones: Zones | None = Field(default=None, description="Which zone is preferred. Left out: none.")
    subset: Subset | None = Field(
        default=None, description="Which requests go to a part of the instances. Left out: all go to all."
    )
    overrides: tuple[Override, ...] = Field(
        default=(), description="What is to count of some instances against what the registry says, in this order."
    )
    tls: UpstreamTls | None = Field(
        default=None,
        description="TLS to its instances; {} verifies them with the system's authorities. Left out: plain HTTP, but "
        "to instances of which their registry says that they speak TLS.",
    )
    proxy_protocol: Literal["v1", "v2"] | None = Field(
        default=None,
        description="The PROXY header with the client's address that its instances get ahead of each connection: v1 or "
        "v2. Connections to them are not kept then. Left out: none.",
    )
    health: Health = Field(default=Health(), description="How it is found out which instances work.")
    guard: Guard = Field(
        default=Guard(), description="What keeps a registry in trouble from taking the service's instances away."
    )
    timeouts: ServiceTimeouts = Field(
        default=ServiceTimeouts(), description="How long each wait of its requests may last."
    )
    limits: ServiceLimits = Field(
        default=ServiceLimits(), description="How large its requests may be, and how many may be under way or wait."
    )
    retries: ServiceRetries = Field(default=ServiceRetries(), description="What is tried again on another endpoint.")


class Service(Settings):
    """A name that routes send requests to, and the instances behind it."""

    discovery: Sources = Field(
        description="Where the instances are found: one registry, or a list of several, whose instances are joined."
    )

    @property
    def sources(self) -> tuple[Discovery, ...]:
        """The registries in which the instances are found; one for most services."""
        return (self.discovery,) if isinstance(self.discovery, Discovery) else self.discovery
