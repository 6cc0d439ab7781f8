"""The keys of a service in Kubernetes."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from config.declaring import BeforeValidator, Field, WithJsonSchema
from config.frozen import Model
from config.texts import KubernetesName, NotEmpty
from config.units import PathText, PositiveDuration, show


def _port(value: Any) -> str | int:
    """Read the name or the number of a port; no name consists of digits."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 5:
        value = int(value)
    is_number = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536
    if is_number or (isinstance(value, str) and value and value.isprintable()):
        return value  # type: ignore[no-any-return]
    raise ValueError(f"must be the name of a port such as http, or a number from 1 to 65535, not {show(value)}")


NameOrNumber = Annotated[
    str | int,
    BeforeValidator(_port),
    WithJsonSchema({"type": ["string", "integer"], "minLength": 1, "minimum": 1, "maximum": 65535}),
]


def context_of_a_file(given: Mapping[str, Any]) -> str | None:
    """Want a context only where there is a file that has it."""
    return "has context without kubeconfig: add it" if "context" in given and "kubeconfig" not in given else None


class Kubernetes(Model):
    """A service in Kubernetes, by a watch of its EndpointSlices: a change arrives as soon as Kubernetes knows it."""

    rules = (context_of_a_file,)

    service: KubernetesName = Field(description="The Service's name.")
    namespace: KubernetesName | None = Field(
        default=None, description="Its namespace. Left out: that of our own pod, or of the kubeconfig's context."
    )
    port: NameOrNumber | None = Field(
        default=None,
        description="The port of the pods: its name in the Service, or its number. Required when there are several.",
    )
    kubeconfig: PathText | None = Field(
        default=None,
        description="A kubeconfig file, for a pointsman outside of the cluster. Left out: the service account of our "
        "own pod. A relative path starts at this file's folder.",
    )
    context: NotEmpty | None = Field(
        default=None, description="The context of the kubeconfig to use. Left out: its current-context."
    )
    family: Literal["auto", "ipv4", "ipv6"] = Field(
        default="auto", description="The addresses to use: ipv4, ipv6, or auto for IPv4 if there are any, else IPv6."
    )
    zone: NotEmpty | None = Field(
        default=None,
        description="Our zone, for the topology hints to be followed; auto: that of the node which the environment "
        "variable NODE_NAME names. Left out: hints do not count.",
    )
    timeout: PositiveDuration = Field(default=5.0, description="How long the API server may take to answer.")
