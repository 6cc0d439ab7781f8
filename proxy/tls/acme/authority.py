"""One order at an authority, from the account to the certificate. All of it blocks, and is for a thread of its own.

The protocol is certbot's `acme` library (Electronic Frontier Foundation); this module alone imports it, and is itself
imported only where there is something to order.
"""

from __future__ import annotations

import email.utils
import math
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import requests
from acme import challenges, client, errors, messages
from josepy.errors import Error as JoseError
from josepy.jwa import ES256
from josepy.jwk import JWKEC
from requests.adapters import HTTPAdapter

from proxy.tls.acme import making
from proxy.tls.acme.wanted import OrderError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from proxy.tls.acme.files import Folder
    from proxy.tls.acme.wanted import AuthorityOptions

TIMEOUT = 20  # seconds for one answer of the authority
LARGEST = 512 * 1024  # bytes of one
ORDER = 120.0  # seconds for a whole order
_POLL, _POLL_MOST = 0.1, 5.0  # seconds between two looks at what the authority is at
_NONCES = 10  # requests sent anew because the authority did not take their nonce (RFC 8555, section 6.5)


class Bounded(HTTPAdapter):
    """Takes no more of an answer than makes sense, in no more time; requests by itself would read for ever."""

    def send(self, request: requests.PreparedRequest, stream: bool = False, **options: Any) -> requests.Response:  # type: ignore[override]
        """Send a request; raise requests.ConnectionError when the answer is too long, or takes too long."""
        response = super().send(request, stream=True, **options)
        content = bytearray()
        end = time.monotonic() + TIMEOUT
        for piece in response.iter_content(1):  # more would be waited for, however long that takes
            content += piece
            if len(content) > LARGEST or time.monotonic() > end:
                response.close()
                raise requests.ConnectionError(f"an answer of more than {LARGEST >> 10} KiB, or {TIMEOUT} s")
        response._content = bytes(content)
        return response


class _Network(client.ClientNetwork):
    """The library's, which heeds how long the authority asks to wait, and has patience with nonces."""

    refused_for = 0.0  # seconds, of the last answer that was an error

    def post(self, *arguments: Any, **options: Any) -> requests.Response:
        for _ in range(_NONCES):
            try:
                return super().post(*arguments, **options)
            except messages.Error as error:
                if error.code != "badNonce":
                    raise
        return super().post(*arguments, **options)

    def _send_request(self, *arguments: Any, **options: Any) -> requests.Response:
        response = super()._send_request(*arguments, **options)
        self.refused_for = seconds_of(response.headers.get("Retry-After", "")) if not response.ok else 0.0
        return response


def seconds_of(retry_after: str, now: float | None = None) -> float:
    """Read a Retry-After (RFC 9110, section 10.2.3): seconds, or a date; 0 where it is neither."""
    try:
        seconds = float(retry_after)
        return seconds if seconds >= 0 and math.isfinite(seconds) else 0.0
    except ValueError:
        pass
    try:
        moment = email.utils.parsedate_to_datetime(retry_after).timestamp()
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return max(moment - (time.time() if now is None else now), 0.0)


def order(
    options: AuthorityOptions, domain: str, folder: Folder, stop: threading.Event, ordered: Callable[[], None]
) -> None:
    """Get a certificate for a domain and put it into the folder, whose lock the caller holds; raise OrderError.

    `ordered` is called before the order is made. It ends soon after `stop` is set.
    """
    network: _Network | None = None
    made = False
    try:
        network = _Network(
            JWKEC(key=folder.account_key()), alg=ES256, user_agent="pointsman",
            verify_ssl=cast("bool", options.ca or True), timeout=TIMEOUT,
        )  # fmt: skip
        network.session.mount("https://", Bounded())
        network.session.mount("http://", Bounded())
        authority = client.ClientV2(client.ClientV2.get_directory(options.directory, network), network)
        _enter(authority, options.email)
        key = making.new_key()
        ordered()
        made = True
        placed = authority.new_order(making.request_pem(domain, key))
        deadline = time.monotonic() + ORDER
        _prove(authority, placed, folder, deadline, stop)
        until = datetime.now() + timedelta(seconds=deadline - time.monotonic())  # as the library has it
        done = authority.finalize_order(placed, until)
        chain = done.fullchain_pem.encode()
        standing = making.standing_of(chain, making.key_pem(key), domain)
        if standing is None:
            raise OrderError("the authority's certificate is not for our key and domain", ordered=True)
        folder.keep(domain, chain, making.key_pem(key))
    except OrderError:
        raise
    except (
        errors.Error,
        JoseError,
        messages.Error,
        requests.RequestException,
        OSError,
        ValueError,
        KeyError,
    ) as error:
        wait = network.refused_for if network is not None else 0.0
        raise OrderError(_why(error), ordered=made, retry_after=wait) from error
    finally:
        folder.forget_proofs()


def _enter(authority: client.ClientV2, address: str) -> None:
    """Have an account: the one that our key has already, or a new one."""
    wanted = messages.NewRegistration.from_data(email=address or None, terms_of_service_agreed=True)
    try:
        authority.new_account(wanted)
    except errors.ConflictError as known:
        authority.query_registration(messages.RegistrationResource(uri=known.location, body=messages.Registration()))


def _prove(
    authority: client.ClientV2, placed: messages.OrderResource, folder: Folder, deadline: float, stop: threading.Event
) -> None:
    """Prove that the domain is ours, as far as the authority does not know it yet."""
    for granted in placed.authorizations:
        if granted.body.status == messages.STATUS_VALID:
            continue
        offered = [one for one in granted.body.challenges if isinstance(one.chall, challenges.HTTP01)]
        if not offered:
            raise OrderError("the authority does not offer HTTP-01 for this domain", ordered=True)
        response, proof = offered[0].response_and_validation(authority.net.key)
        folder.prove(offered[0].chall.encode("token"), proof.encode())
        authority.answer_challenge(offered[0], response)
        _await(authority, granted, deadline, stop)


def _await(
    authority: client.ClientV2, granted: messages.AuthorizationResource, deadline: float, stop: threading.Event
) -> None:
    wait = _POLL
    while True:
        granted, response = authority.poll(granted)
        if granted.body.status == messages.STATUS_VALID:
            return
        if granted.body.status not in (messages.STATUS_PENDING, messages.STATUS_PROCESSING):
            raise errors.ValidationError([granted])
        asked = seconds_of(response.headers.get("Retry-After", ""))
        pause = max(wait, min(asked, _POLL_MOST))
        if time.monotonic() + pause > deadline:
            raise OrderError(f"the authority did not judge our proof within {ORDER:g} s", ordered=True)
        if stop.wait(pause):
            raise OrderError("pointsman ends", ordered=True)
        wait = min(wait * 2, _POLL_MOST)


def _why(error: Exception) -> str:
    """Say in a line what went wrong; others' words are cut short and hold no line's end."""
    if isinstance(error, errors.ValidationError):
        found = [one.error for failed in error.failed_authzrs for one in failed.body.challenges if one.error]
        text = "; ".join(str(one.detail or one.code) for one in found) or "the authority did not take our proof"
    elif isinstance(error, messages.Error):
        text = f"{error.code or error.typ}: {error.detail or error.title or ''}"
    elif isinstance(error, errors.TimeoutError):
        text = f"the authority did not issue the certificate within {ORDER:g} s"
    elif isinstance(error, requests.ConnectionError):
        text = f"the authority cannot be reached: {error}"
    else:
        text = f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:500]
