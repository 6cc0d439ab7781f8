"""From the keys of ACME to the owner of the certificates, and to the questions that listeners answer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from proxy.tls.acme.challenges import Challenged
from proxy.tls.acme.renewals import Renewals
from proxy.tls.acme.wanted import AuthorityOptions
from proxy.tls.pair import Pair

if TYPE_CHECKING:
    from config import listener as keys
    from config.acme import Acme
    from config.model import Config
    from proxy.http.terms import Terms
    from proxy.journal import Journal
    from proxy.routes import Router
    from proxy.tls.acme.files import Folder

_log = logging.getLogger(__name__)

NAME = "@acme"  # what events of certificates are told under


def make_renewals(config: Config, journal: Journal) -> Renewals | None:
    """Make the owner of certificates that are got, if there is to be one; placeholders are there then.

    Raises AcmeError.
    """
    wanted, domains = config.acme, domains_of(config)
    if wanted is None or not domains:
        return None
    if not any(_answers(listener) for listener in config.listeners):
        _log.warning(
            "tls.acme: no listener without TLS is there to answer the authority, which asks at port 80: add one"
        )
    return Renewals(
        AuthorityOptions(wanted.directory, wanted.email or "", str(wanted.ca or "")),
        _folder(wanted),
        domains,
        lambda kind, domain, text: journal.record(NAME, kind, domain, text),
        renew_before=wanted.renew_before,
    )


def domains_of(config: Config) -> tuple[str, ...]:
    """List the domains that certificates are got for, each once."""
    if config.acme is None:
        return ()
    named = [one.tls.acme.domains for one in config.listeners if one.tls and one.tls.acme]
    return tuple(dict.fromkeys(domain for domains in (config.acme.domains, *named) for domain in domains))


def pairs_of(config: Config, listener: keys.Listener, place: str) -> tuple[Pair, ...]:
    """Say where the certificates are that a listener has from the authority; `place` is the path of its key `tls`."""
    acme = listener.tls.acme if listener.tls else None
    if acme is None or config.acme is None:
        return ()
    folder = _folder(config.acme)
    return tuple(Pair(*folder.pair(domain), f"{place}.acme") for domain in acme.domains)


def challenged(config: Config, listener: keys.Listener, router: Router[Terms]) -> Router[Terms]:
    """Put the authority's questions before the routes of a listener at which it may ask."""
    if config.acme is None or not _answers(listener):
        return router
    return Challenged(router, _folder(config.acme))


def _folder(wanted: Acme) -> Folder:
    from proxy.tls.acme.files import Folder  # and with it 8 MiB of cryptography, for those who want it

    return Folder(wanted.folder)


def _answers(listener: keys.Listener) -> bool:
    return listener.tls is None and listener.tcp is None and not listener.bind.path
