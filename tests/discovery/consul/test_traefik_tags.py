"""What Traefik's tags ask for."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.consul.traefik_rules import Match, read_rule
from discovery.consul.traefik_tags import read
from discovery.consul.wishes import RefusedError, Wish

ROUTER = "traefik.http.routers.r."
SERVICE = "traefik.http.services.s.loadbalancer."
RULE = f"{ROUTER}rule=Host(`a.io`) && PathPrefix(`/x`)"


def wishes(*tags: str, enable: bool = True, **more: tuple[str, ...]) -> list[Wish]:
    found = list(read("web", [*(["traefik.enable=true"] if enable else []), *tags], **more))
    assert all(isinstance(one, Wish) for one in found), found
    return [one for one in found if isinstance(one, Wish)]


def refusal(*tags: str, **more: tuple[str, ...]) -> str:
    (found,) = read("web", ["traefik.enable=true", *tags], **more)
    assert isinstance(found, str)
    return found


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        ("Host(`Shop.example.com`)", [Match("shop.example.com")]),
        ('Host("a.io")', [Match("a.io")]),
        ("PathPrefix(`/api`)", [Match("", "/api")]),
        ("PathPrefix(`/`)", [Match()]),
        ("Path(`/api`)", [Match("", "/api", True)]),
        ("Host(`a.io`) && PathPrefix(`/x`)", [Match("a.io", "/x")]),
        ("host(`a.io`)&&pathprefix(`/x`)", [Match("a.io", "/x")]),
        ("Host(`a.io`) || Host(`b.io`)", [Match("a.io"), Match("b.io")]),
        ("Host(`a.io`, `b.io`)", [Match("a.io"), Match("b.io")]),
        ("Host(`a.io`) || Host(`b.io`) && Path(`/x`)", [Match("a.io"), Match("b.io", "/x", True)]),
        ("(Host(`a.io`) || Host(`b.io`)) && Path(`/x`)", [Match("a.io", "/x", True), Match("b.io", "/x", True)]),
        ("PathPrefix(`/a`) && PathPrefix(`/a/b`)", [Match("", "/a/b")]),
        ("PathPrefix(`/a/b`) && PathPrefix(`/a`)", [Match("", "/a/b")]),
        ("PathPrefix(`/a`) && Path(`/a/b`)", [Match("", "/a/b", True)]),
        ("Path(`/a`) && PathPrefix(`/a`)", [Match("", "/a", True)]),
        ("Host(`a.io`) && (Host(`a.io`) || Host(`b.io`))", [Match("a.io")]),
        ("Path(`/a`) || Path(`/a`)", [Match("", "/a", True)]),
        (" && ".join(["(Path(`/a`) || PathPrefix(`/`))"] * 9), [Match("", "/a", True), Match()]),
    ],
)
def test_rules(rule: str, matches: list[Match]) -> None:
    assert read_rule(rule) == matches


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("Host(`a.io`) && Host(`b.io`)", "no request can meet it"),
        ("Path(`/a`) && PathPrefix(`/a/b`)", "no request can meet it"),
        ("PathPrefix(`/a/b`) && Path(`/a`)", "no request can meet it"),
        ("!Host(`a.io`)", "'!' is not supported"),
        ("HostRegexp(`.*`)", "HostRegexp is not supported, only Host, Path and PathPrefix"),
        ("PathRegexp(`.*`)", "PathRegexp is not supported"),
        ("Host(`a.io`) && Method(`GET`)", "Method is not supported"),
        ("Headers(`a`, `b`)", "Headers is not supported"),
        ("Path(`/{id:[0-9]+}`)", "patterns in paths are not supported"),
        ("Host(`*.io`)", "Host takes no *"),
        ("Host(`a b`)", "is no host name"),
        ("Path(`a`)", "is no path"),
        ("Host(`a.io`", ") is expected, not the end"),
        ("Host aio", "( is expected, not aio"),
        ("Host()", "a text in `backticks` is expected, not )"),
        ("Host(`a.io`) Host(`b.io`)", "'Host' is not expected there"),
        ("Host(`a.io`) &&", "Host, Path or PathPrefix is expected, not the end"),
        ("Host(`a.io)", "makes no sense"),
        ("", "is expected, not the end"),
        ("(" * 40 + "Host(`a.io`)" + ")" * 40, "more than 16 brackets"),
        (" || ".join(f"Path(`/{number}`)" for number in range(65)), "more than 64 routes"),
    ],
)
def test_what_routes_cannot_say_is_refused(rule: str, reason: str) -> None:
    with pytest.raises(RefusedError) as refused:
        read_rule(rule)
    assert reason in str(refused.value)


@given(
    st.lists(st.sampled_from(["Host(`a.io`)", "Path(`/a`)", "PathPrefix(`/`)", "&&", "||", "(", ")", "!", " ", "`"]))
)
def test_whatever_is_written_there_it_is_read_or_refused(pieces: list[str]) -> None:
    with contextlib.suppress(RefusedError):
        assert 1 <= len(read_rule("".join(pieces))) <= 64


def test_a_router() -> None:
    assert wishes(RULE) == [Wish("a.io", "/x", rank=len("Host(`a.io`) && PathPrefix(`/x`)"))]


def test_only_those_who_want_to_be_seen_are() -> None:
    assert wishes(RULE, enable=False) == []
    assert wishes(RULE, "traefik.enable=false", enable=False) == []


def test_keys_count_in_any_case() -> None:
    assert wishes("Traefik.HTTP.Routers.r.Rule=Path(`/A`)")[0].path == "/A"


def test_the_longer_rule_comes_first_unless_a_priority_is_given() -> None:
    long, short = wishes(RULE, "traefik.http.routers.q.rule=Host(`a.io`)")
    assert long.rank > short.rank
    assert wishes(RULE, f"{ROUTER}priority=7")[0].rank == 7


def test_a_rule_with_or_is_several_routes_of_one_rank() -> None:
    found = wishes(f"{ROUTER}rule=Host(`a.io`) || Host(`b.io`)")
    assert [wish.host for wish in found] == ["a.io", "b.io"]
    assert len({wish.rank for wish in found}) == 1


def test_the_port_and_the_weight_of_its_service() -> None:
    (found,) = wishes(RULE, f"{SERVICE}server.port=8081", f"{SERVICE}server.weight=3")
    assert (found.port, found.weight) == (8081, 3)


def test_of_several_services_a_router_names_one() -> None:
    tags = (f"{SERVICE}server.port=81", "traefik.http.services.t.loadbalancer.server.port=82")
    assert wishes(RULE, f"{ROUTER}service=t", *tags)[0].port == 82
    assert wishes(RULE, f"{ROUTER}service=web", *tags)[0].port == 0
    assert "must name one of its services" in refusal(RULE, *tags)
    assert "its service u is not one of this instance's" in refusal(RULE, f"{ROUTER}service=u", *tags)


def test_a_middleware_that_strips() -> None:
    strip = "traefik.http.middlewares.m.stripprefix.prefixes=/y,/x"
    assert wishes(RULE, f"{ROUTER}middlewares=m@consulcatalog", strip)[0].strip == "/x"
    assert wishes(f"{ROUTER}rule=Path(`/z`)", f"{ROUTER}middlewares=m", strip)[0].strip == ""
    sometimes = refusal(f"{ROUTER}rule=Host(`a.io`)", f"{ROUTER}middlewares=m", strip)
    assert "strips /y, which only some of its paths begin with" in sometimes


def test_entry_points_count_if_some_are_wanted() -> None:
    tags = (RULE, f"{ROUTER}entrypoints=web, internal")
    assert wishes(*tags)
    assert wishes(*tags, entrypoints=("internal",))
    assert "its entry points web, internal are not among" in refusal(*tags, entrypoints=("public",))
    assert wishes(RULE, entrypoints=("public",))


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ((), "web: has no traefik.http.routers.NAME.rule"),
        ((f"{ROUTER}priority=1",), "traefik.http.routers.r: has no rule"),
        ((f"{ROUTER}rule=Method(`GET`)",), "Method is not supported"),
        ((RULE, f"{ROUTER}middlewares=auth"), "its middleware auth is none of this instance's that only strips"),
        ((RULE, f"{ROUTER}tls=true"), "tls: TLS is not spoken with clients"),
        ((RULE, f"{ROUTER}tls.certresolver=le"), "tls.certresolver: TLS is not spoken"),
        ((RULE, f"{ROUTER}colour=red"), "colour: this option is not known"),
        ((RULE, f"{ROUTER}priority=high"), "priority must be a whole number"),
        ((RULE, f"{SERVICE}server.port=99999"), "loadbalancer.server.port must be at most 65535"),
        ((RULE, f"{SERVICE}server.weight=-1"), "loadbalancer.server.weight must be a whole number"),
        ((RULE, f"{SERVICE}server.scheme=https"), "only HTTP is passed on"),
        ((RULE, f"{SERVICE}passhostheader=false"), "the Host header is passed on as it is"),
        ((RULE, f"{SERVICE}serverstransport=x"), "serverstransport: this option is not known"),
        ((RULE, "traefik.consulcatalog.connect=true"), "sidecars are not spoken to"),
    ],
)
def test_what_is_left_out_is_named_with_its_reason(tags: tuple[str, ...], reason: str) -> None:
    assert reason in refusal(*tags)


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        (f"{SERVICE}sticky.cookie=true", "passed over; its routes are used without it"),
        (f"{SERVICE}healthcheck.path=/h", "passed over"),
        ("traefik.tcp.routers.t.rule=HostSNI(`*`)", "only traefik.http.routers, .services and .middlewares are read"),
    ],
)
def test_what_is_passed_over_is_named_and_the_route_is_used(tag: str, reason: str) -> None:
    note, wish = read("web", ["traefik.enable=true", RULE, tag])
    assert isinstance(note, str)
    assert reason in note
    assert isinstance(wish, Wish)
