"""From the keys of TLS on a listener to its certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.tls.certificates import TlsOptions
from proxy.tls.pair import Pair

if TYPE_CHECKING:
    from config.listener_tls import ListenerTls


def tls_options(wanted: ListenerTls, place: str, got: tuple[Pair, ...] = ()) -> TlsOptions:
    """Read the keys; `place` is their path in the configuration, `got` are certificates from an authority."""
    return TlsOptions(
        pairs=tuple(
            Pair(files.cert, files.key or files.cert, f"{place}.certificates[{number}]")
            for number, files in enumerate(wanted.certificates)
        )
        + got,
        place=place,
        min_version=wanted.min_version,
        ciphers=wanted.ciphers,
        strict_sni=wanted.strict_sni,
        client_ca=wanted.client_ca,
        client_required=wanted.client_auth != "optional",
        forward_certificate=wanted.forward_certificate,
    )
