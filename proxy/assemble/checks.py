"""What is wrong with a configuration that only the parts can tell which it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from balancers.policies import PolicyOptionError, UnknownPolicyError, find
from config import references
from config.errors import Problem
from discovery import own
from proxy.access_log.formats import FormatError, check_format

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_UNWEIGHTED = ("random", "round_robin")


def check_balancers(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Find what is wrong with the balancers named, which only those who can load them know."""
    for path, balancer in references.balancers(data):
        try:
            find(balancer.type, balancer.options)
        except (UnknownPolicyError, PolicyOptionError) as error:
            yield Problem(path, str(error))


def check_registries(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Find what is wrong with the registries that other packages bring along."""
    for path, name, options in references.own_registries(data):
        try:
            own.make(name, options)
        except own.OwnRegistryError as error:
            yield Problem(path, str(error))


def check_access_log(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Find what is wrong with the template of the access log's lines."""
    for path, template in references.access_log_templates(data):
        try:
            check_format(template)
        except FormatError as error:
            yield Problem(path, str(error))


def check_shares(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Find weights that the balancer beside them would not heed."""
    for path, balancer, what in references.balancers_of_weights(data):
        if balancer.type in _UNWEIGHTED:
            message = f"{balancer.type} does not heed {what}"
            yield Problem(path, message, "take weighted_round_robin or weighted_random, or leave that out")


CHECKS = (check_balancers, check_registries, check_access_log, check_shares)
