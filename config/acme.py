"""The keys of certificates that pointsman gets by itself (ACME, RFC 8555)."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from config.declaring import AfterValidator, Field
from config.frozen import Model
from config.together import repeated
from config.units import Bool, Duration, PathText, show

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"

_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LONGEST_NAME = 253  # characters (RFC 1035, section 2.3.4)


def _domain(text: str) -> str:
    name = text.lower()
    if name.startswith("*."):
        raise ValueError(
            f"cannot be {show(text)}, for HTTP-01 proves no wildcard: name each host, or give certificates of your own"
        )
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME or name.rpartition(".")[2].isdecimal():
        raise ValueError(f"must be a host name such as shop.example.com, not {show(text)}")
    return name


def _distinct(domains: tuple[str, ...]) -> tuple[str, ...]:
    for place, message in repeated(domains):
        raise ValueError(f"item {place} {message}; name each host once")
    return domains


def _directory(url: str) -> str:
    if not re.fullmatch(r"https://[A-Za-z0-9.:\[\]-]+(?:/[!-~]*)?", url):
        raise ValueError(f"must be the https URL of an ACME directory such as {LETS_ENCRYPT}, not {show(url)}")
    return url


def _email(address: str) -> str:
    if not re.fullmatch(r"[!-~]+@[!-~]+", address) or "," in address or "?" in address:
        raise ValueError(f"must be an address such as ops@example.com, not {show(address)}")
    return address


def _terms_agreed(given: Mapping[str, Any]) -> str | None:
    """Want the word of the user himself: nobody else may agree for him."""
    if given.get("terms_agreed") is not True:
        return "must have terms_agreed: true, which says that you agree to the terms of service of the authority"
    return None


# No wildcards: HTTP-01 cannot prove them.
Domains = Annotated[tuple[Annotated[str, AfterValidator(_domain)], ...], AfterValidator(_distinct)]


class ListenerAcme(Model):
    """Certificates that a listener has from the authority."""

    domains: Annotated[Domains, Field(min_length=1)] = Field(
        description="The hosts: each gets a certificate of its own. No wildcards: HTTP-01 cannot prove them."
    )


class Acme(Model):
    """The authority that certificates are got from, and the account there."""

    domains: Domains = Field(
        default=(),
        description="Hosts that certificates are got for, beside those that listeners name under tls.acme.",
    )

    terms_agreed: Bool = Field(
        default=False, description="true: you agree to the authority's terms of service. Nothing is done without it."
    )
    directory: Annotated[str, AfterValidator(_directory)] = Field(
        default=LETS_ENCRYPT, description="The URL of the authority's directory; Let's Encrypt's unless given."
    )
    email: Annotated[str, AfterValidator(_email)] | None = Field(
        default=None, description="Where the authority may reach you. Left out: it cannot."
    )
    ca: PathText | None = Field(
        default=None,
        description="The file with the certificates of those who issued the authority's own (PEM), for one of your "
        "own. Left out: those that certifi knows.",
    )
    folder: PathText = Field(
        default=Path("acme"),
        validate_default=True,
        description="The folder for the account's key and the certificates; several processes may share it. A relative "
        "path starts at this file's folder.",
    )
    renew_before: Duration | None = Field(
        default=None,
        description="How long before its end a certificate is renewed. Left out: a third of its lifetime.",
    )
    rules = (_terms_agreed,)
