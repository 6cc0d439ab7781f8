"""What holds for a request: the top of the file, over it the request's listener, and over that its service."""

from typing import TypeVar

from config.frozen import Model
from config.listener import Forwarded, Listener
from config.model import Config
from config.service import Settings
from config.traffic import Limits, Retries, Timeouts
from config.trusted import TrustedProxies

M = TypeVar("M", bound=Model)


def timeouts(config: Config, listener: Listener | None = None, service: Settings | None = None) -> Timeouts:
    """Return the time-outs in force where both levels are known, or of the level that is."""
    return over(config.timeouts, listener and listener.timeouts, service and service.timeouts)


def limits(config: Config, listener: Listener | None = None, service: Settings | None = None) -> Limits:
    """Return the limits in force where both levels are known, or of the level that is."""
    return over(config.limits, listener and listener.limits, service and service.limits)


def retries(config: Config, service: Settings) -> Retries:
    """Return what is tried again of a service's requests."""
    return over(config.retries, service.retries)


def trusted_proxies(config: Config, listener: Listener) -> TrustedProxies:
    """Return whose headers a listener believes."""
    return config.trusted_proxies if listener.trusted_proxies is None else listener.trusted_proxies


def forwarded(config: Config, listener: Listener) -> Forwarded:
    """Return which headers a listener writes about where a request came from."""
    return config.forwarded if listener.forwarded is None else listener.forwarded


def over(whole: M, *parts: Model | None) -> M:
    """Return `whole` with what is given in `parts`, of which the last one wins. None is left out, 0 is given."""
    given = {key: value for part in parts if part is not None for key, value in part if value is not None}
    return whole.model_copy(update=given)
