"""The keys of TLS to the instances of a service."""

import ipaddress
from collections.abc import Mapping
from typing import Annotated, Any

from config.declaring import AfterValidator, Field, PlainValidator, WithJsonSchema
from config.frozen import Model
from config.listener_tls import Version, parse_version
from config.units import Bool, PathText, parse_address, show


def _server_name(name: str) -> str:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        pass
    else:
        return name
    try:
        return parse_address(f"{name}:443").host.rstrip(".")
    except ValueError:
        raise ValueError(
            f"must be a host name or an IP address such as web.internal, without a port, not {show(name)}"
        ) from None


def _both_files(given: Mapping[str, Any]) -> str | None:
    """Want a certificate where there is a key."""
    return "has key without cert: add the file of the certificate" if "key" in given and "cert" not in given else None


def _something_to_verify(given: Mapping[str, Any]) -> str | None:
    """Want authorities only where somebody asks them."""
    if given.get("verify") is False and "ca" in given:
        return "has ca, which nobody looks at with verify: false; take one of them out"
    return None


class UpstreamTls(Model):
    """TLS to the instances of a service."""

    verify: Bool = Field(
        default=True,
        description="true: an instance's certificate must come from an authority that is trusted, and bear the name. "
        "false: anybody can pretend to be the instance; the log says so.",
    )
    ca: PathText | None = Field(
        default=None,
        description="The file with the certificates of the authorities that are trusted (PEM). Left out: those of the "
        "system. A relative path starts at this file's folder.",
    )
    server_name: Annotated[str, AfterValidator(_server_name)] | None = Field(
        default=None,
        description="The name that the instances' certificates bear, which they are asked for too (SNI). Left out: the "
        "host name or the IP address that each instance is registered with; localhost for one on a unix socket.",
    )
    cert: PathText | None = Field(
        default=None, description="The file with our own certificate, for instances that ask for one (PEM)."
    )
    key: PathText | None = Field(
        default=None,
        description="The file with its private key (PEM), without a password. Left out: it is in cert.",
    )
    min_version: Annotated[
        Version, PlainValidator(parse_version), WithJsonSchema({"enum": ["1.2", "1.3", 1.2, 1.3]})
    ] = Field(default="1.2", description='The oldest version of TLS that is spoken: "1.2" or "1.3".')
    rules = (_both_files, _something_to_verify)
