"""The files that a configuration names, looked at while nothing is run: for `pointsman validate`."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from config.errors import Problem, show_path
from proxy.edge.users_file import UsersFile, UsersFileError
from proxy.tls.files import tls_options
from proxy.tls.instances import instance_tls_options
from proxy.tls.pair import CertificateError, read, read_authorities

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from config.errors import KeyPath
    from config.model import Config
    from config.service import Settings
    from proxy.tls.pair import Pair


def check_files(config: Config) -> Iterator[Problem]:
    """Find what is wrong with the files of TLS and of users. Those that an authority is to send are not there yet."""
    for number, listener in enumerate(config.listeners):
        path: KeyPath = ("listeners", number, "tls")
        if listener.tls is not None:
            for place, pair in enumerate(tls_options(listener.tls, show_path(path)).pairs):
                yield from _pair(pair, pair.serve, (*path, "certificates", place))
            yield from _authorities(listener.tls.client_ca, (*path, "client_ca"))
    if config.acme is not None:
        yield from _authorities(config.acme.ca, ("acme", "ca"))
    for number, route in enumerate(config.routes):
        if route.basic_auth is not None:
            try:
                UsersFile(route.basic_auth.file)
            except UsersFileError as error:
                path = ("routes", number, "basic_auth", "file")
                yield Problem(path, str(error).removeprefix("basic_auth.file: "))
    for name, service in config.services.items():
        yield from _to_instances(service, ("services", name, "tls"))
    for number, catalog in enumerate(config.catalogs):
        yield from _to_instances(catalog.settings, ("catalogs", number, "settings", "tls"))


def _to_instances(wanted: Settings, path: KeyPath) -> Iterator[Problem]:
    if wanted.tls is None:
        return
    yield from _authorities(wanted.tls.ca, (*path, "ca"))
    pair = instance_tls_options(wanted.tls, show_path(path)).pair
    if pair is not None:
        yield from _pair(pair, pair.load, path)


def _pair(pair: Pair, load: Callable[[ssl.SSLContext], object], path: KeyPath) -> Iterator[Problem]:
    unread = list(_failing(path, lambda: read(pair.cert, f"{show_path(path)}.cert")))
    if pair.key != pair.cert:
        unread += _failing(path, lambda: read(pair.key, f"{show_path(path)}.key"))
    yield from unread or _failing(path, lambda: load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)))


def _authorities(file: Path | None, path: KeyPath) -> Iterator[Problem]:
    if file is not None:
        yield from _failing(path, lambda: read_authorities(file, show_path(path)))


def _failing(path: KeyPath, load: Callable[[], object]) -> Iterator[Problem]:
    """Try to load something that is at a path, or at a key below it; the error begins with where it is."""
    try:
        load()
    except CertificateError as error:
        rest = str(error).removeprefix(show_path(path))
        key, _, message = rest.partition(": ")
        yield Problem((*path, key[1:]) if key else path, message)
