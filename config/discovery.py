"""Where a service's instances are found: in one registry, or in several at once."""

import json
from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Annotated, Any, get_args

from config.declaring import AfterValidator, ConfigDict, Discriminator, Field, Tag, create_model
from config.errors import listed
from config.frozen import Model, Rule
from config.own_registries import INSTALLED, Options
from config.registries.consul import Consul
from config.registries.dns import Dns
from config.registries.docker import Docker
from config.registries.etcd import Etcd
from config.registries.eureka import Eureka
from config.registries.http import Http
from config.registries.kubernetes import Kubernetes
from config.registries.marathon import Marathon
from config.registries.mesos import Mesos
from config.registries.static import StaticInstances
from config.registries.swarm import Swarm
from config.registries.zookeeper import ZooKeeper
from config.units import Int, PathText

_OF_THE_LIST = frozenset({"weight", "priority"})  # the keys that name no registry
# Keys of registries that say who asks and how, not what for.
_HOW_TO_ASK = frozenset(
    {"token", "token_file", "username", "password", "password_file", "headers", "timeout", "interval", "ttl_min"}
    | {"ttl_max"}
)


def one_source(given: Mapping[str, Any]) -> str | None:
    """Want exactly one registry."""
    kinds = [key for key in SOURCES if key in given]
    if not kinds:
        return f"must have one of {SOURCES_LISTED}"
    return f"has {' and '.join(kinds)}: keep one of {SOURCES_LISTED}" if len(kinds) > 1 else None


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.module


def _require_one(schema: dict[str, Any]) -> None:
    schema["oneOf"] = [{"required": [key]} for key in SOURCES]


if TYPE_CHECKING:
    WithOwn = Model
else:
    # The keys of the registries that other packages bring along; where a name is ours already, ours counts.
    WithOwn = create_model(
        "WithOwn",
        __base__=Model,
        **{
            name: (Options | None, Field(default=None, description=f"A registry from the package {_package(entry)}."))
            for name, entry in INSTALLED.items()
        },
    )


class Discovery(WithOwn):
    """Where a service's instances are found: exactly one registry. Of several, write a list of these."""

    model_config = ConfigDict(json_schema_extra=_require_one)
    rules = (one_source,)

    static: StaticInstances | None = Field(
        default=None,
        description="The instances, written down here: a list of host:port, or of mappings with more keys.",
    )
    file: PathText | None = Field(
        default=None,
        description="A YAML or JSON file with a list of instances in the form of static, followed as it changes. "
        "A relative path starts at this file's folder.",
    )
    consul: Consul | None = Field(default=None, description="A service in Consul.")
    etcd: Etcd | None = Field(default=None, description="A service in etcd.")
    kubernetes: Kubernetes | None = Field(default=None, description="A service in Kubernetes.")
    eureka: Eureka | None = Field(default=None, description="A service in Eureka.")
    dns: Dns | None = Field(default=None, description="A name in the DNS.")
    http: Http | None = Field(default=None, description="A JSON document at a URL.")
    mesos: Mesos | None = Field(default=None, description="Tasks in Mesos.")
    marathon: Marathon | None = Field(default=None, description="An app in Marathon.")
    zookeeper: ZooKeeper | None = Field(default=None, description="A service in ZooKeeper.")
    docker: Docker | None = Field(default=None, description="Containers of a Docker Engine.")
    swarm: Swarm | None = Field(default=None, description="A service of a Docker Swarm.")
    weight: Annotated[Int, Field(ge=0, le=1000)] | None = Field(
        default=None,
        description="Of several sources: this one's share of the requests relative to the others, 0 to 1000, however "
        "many instances each has; 0: none. All of them have one, or none. Left out: every instance counts by its own "
        "weight.",
    )
    priority: Annotated[Int, Field(ge=0, le=100)] = Field(
        default=0,
        description="Of several sources: those of the lowest number get the requests, 0 to 100; those of a higher one "
        "only as long as too few instances before them are healthy.",
    )

    @property
    def kind(self) -> str:
        """The registry's key: `consul`."""
        return next(key for key in SOURCES if getattr(self, key) is not None)

    @cached_property
    def place(self) -> str:
        """All that says which instances are meant, as one text, the same however and how patiently they are asked for.

        What is as it is by default is left out: keys of a version to come change no text.
        """
        kind = self.kind
        written = self.model_dump(mode="json", exclude_defaults=True)[kind]
        if isinstance(written, dict):
            written = {key: value for key, value in written.items() if key not in _HOW_TO_ASK}
        return json.dumps([kind, written], sort_keys=True)


# Those that other packages bring along.
OWN = frozenset(INSTALLED) - frozenset(Discovery.__annotations__)
# The registries, in the order in which errors and the documentation name them.
SOURCES = tuple(sorted((key for key in Discovery.model_fields if key not in _OF_THE_LIST), key=lambda key: key in OWN))
SOURCES_LISTED = listed(SOURCES)


def rules_of(source: str) -> tuple[Rule, ...]:
    """Return the rules that the mapping below a registry's key obeys."""
    forms = get_args(Discovery.model_fields[source].annotation)
    return next((form.rules for form in forms if isinstance(form, type) and issubclass(form, Model)), ())


def each_weighted(sources: tuple[Discovery, ...]) -> tuple[Discovery, ...]:
    """Want weights for all sources of a list or for none, and one of them above 0."""
    weighted = sum(source.weight is not None for source in sources)
    if weighted not in (0, len(sources)):
        raise ValueError("must have a weight in each of its items or in none: they are shares of the same requests")
    if weighted and not any(source.weight for source in sources):
        raise ValueError("must have a weight above 0 in one of its items: nobody would get the requests")
    return sources


def _form(value: Any) -> str:
    return "[several]" if isinstance(value, (list, tuple)) else "[one]"


_Several = Annotated[tuple[Discovery, ...], Field(min_length=1), AfterValidator(each_weighted), Tag("[several]")]
Sources = Annotated[
    Annotated[Discovery, Tag("[one]")] | _Several,
    Discriminator(_form),
]
