"""What fabio's tags ask for."""

from __future__ import annotations

import pytest

from discovery.consul.fabio_tags import read
from discovery.consul.wishes import Wish


def wish(tag: str) -> Wish:
    (found,) = read([tag])
    assert isinstance(found, Wish), found
    return found


@pytest.mark.parametrize(
    ("tag", "host", "path"),
    [
        ("urlprefix-/css", "", "/css"),
        ("urlprefix-i.com/static", "i.com", "/static"),
        ("urlprefix-MySite.com/", "mysite.com", ""),
        ("  urlprefix-/Foo/bar  ", "", "/Foo/bar"),
        ("urlprefix-*.example.com/api", "*.example.com", "/api"),
        ("urlprefix-/", "", ""),
    ],
)
def test_a_host_and_a_path(tag: str, host: str, path: str) -> None:
    found = wish(tag)
    assert (found.host, found.path, found.exact, found.strip, found.share) == (host, path, False, "", 0.0)


def test_options() -> None:
    found = wish("urlprefix-/foo/bar strip=/foo  weight=0.05 proto=http")
    assert (found.path, found.strip, found.share) == ("/foo/bar", "/foo", 0.05)
    assert wish("urlprefix-/foo weight=-1").share == 0.0


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("urlprefix-:3306 proto=tcp", "TCP is not passed on, only HTTP"),
        ("urlprefix-example.com", "must have a /, as in urlprefix-shop.example.com/"),
        ("urlprefix-", "must have a /"),
        ("urlprefix-/x proto=https", "proto=https: only HTTP is passed on, and without TLS"),
        ("urlprefix-/x proto=grpc", "proto=grpc: only HTTP"),
        ("urlprefix-/x allow=ip:10.0.0.0/8", "access rules are not supported"),
        ("urlprefix-/x deny=ip:10.0.0.0/8", "access rules are not supported"),
        ("urlprefix-/x auth=mine", "authorization is not supported"),
        ("urlprefix-/x redirect=301,https://x/", "redirects are not supported"),
        ("urlprefix-/x host=dst", "the Host header is passed on as it is"),
        ("urlprefix-/x prepend=/y", "not prepended"),
        ("urlprefix-/x register=y", "services are not registered"),
        ("urlprefix-/x colour=red", "this option is not known"),
        ("urlprefix-/x weight=much", "weight=much: must be a share"),
        ("urlprefix-/x weight=nan", "must be a share"),
        ("urlprefix-/x strip=x", "is no path"),
        ("urlprefix-foo*.com/x", "is no host name"),
        ("urlprefix-${DC}.example.com/", "variables such as $DC are not filled in"),
        ("urlprefix-/ä", "is no path"),
        ("urlprefix-/a?b", "is no path"),
    ],
)
def test_what_is_left_out_is_named_with_its_reason(tag: str, reason: str) -> None:
    (found,) = read([tag])
    assert isinstance(found, str)
    assert found.startswith(f"{tag}: ")
    assert reason in found


def test_other_tags_are_not_fabio_s() -> None:
    assert list(read(["v2", "traefik.enable=true", "my-urlprefix-/x"])) == []


def test_routes_with_a_host_come_first_then_patterns_of_hosts_then_paths_and_the_longer_of_them() -> None:
    tags = ["a.b/", "a.b/long", "*.long.b/", "*.b/long", "*.b/", "/a/much/longer/path", "/a", "/"]
    wishes = [wish(f"urlprefix-{tag}") for tag in tags]
    ranked = sorted(wishes, key=lambda found: -found.rank)
    assert [f"{found.host}{found.path or '/'}" for found in ranked] == [
        "a.b/long", "a.b/", "*.long.b/", "*.b/long", "*.b/", "/a/much/longer/path", "/a", "/",
    ]  # fmt: skip
