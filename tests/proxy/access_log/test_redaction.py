"""Secrets stay out of every format, however a client writes their names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.access_log.formats import make_formatter
from proxy.access_log.redaction import Redaction
from tests.proxy.access_log.records import ANY_BYTES, record, request

NAMES = ["token", "API_Key", "schlüssel", "pass phrase", " ", ""]
FORMATS = [
    "json",
    "clf",
    "combined",
    "{target} {user_agent} {request_header:Referer} {request_header:X-Secret} {request_header:X-Original-URL}",
]


@pytest.mark.parametrize(
    ("sent", "written"),
    [
        (b"/", b"/"),
        (b"*", b"*"),
        (b"/token=abc", b"/token=abc"),
        (b"/?a=1&b", b"/?a=1&b"),
        (b"/?token=abc", b"/?token=REDACTED"),
        (b"/?a=1&token=abc&b=2", b"/?a=1&token=REDACTED&b=2"),
        (b"/?token=a&token=b", b"/?token=REDACTED&token=REDACTED"),
        (b"/?TOKEN=abc", b"/?TOKEN=REDACTED"),
        (b"/?a=1&api_key=x", b"/?a=1&api_key=REDACTED"),
        (b"/?%74oken=abc&%54%4fk%65n=x", b"/?%74oken=REDACTED&%54%4fk%65n=REDACTED"),
        (b"/?a=1;token=abc", b"/?a=1;token=REDACTED"),
        (b"/?token=a=b", b"/?token=REDACTED"),
        (b"/?token=", b"/?token=REDACTED"),
        (b"/?token", b"/?token"),
        (b"/?token&a=1", b"/?token&a=1"),
        (b"/?tokens=1&my_token=2&t%6f=3", b"/?tokens=1&my_token=2&t%6f=3"),
        # Where servers disagree on a value's end, it goes on.
        (b"/?token=abc;def&a=1", b"/?token=REDACTED&a=1"),
        (b"/?token=a?b/c&a=1", b"/?token=REDACTED&a=1"),
        # Lists, blanks, names that are not ASCII.
        (b"/?token[]=a&user[token]=b&token%5B0%5D=c", b"/?token[]=REDACTED&user[token]=REDACTED&token%5B0%5D=REDACTED"),
        (b"/?+token=a&%20token=b", b"/?+token=REDACTED&%20token=REDACTED"),
        (b"/?pass+phrase=a", b"/?pass+phrase=REDACTED"),
        (b"/?pass%20phrase=b", b"/?pass%20phrase=REDACTED"),
        (b"/?schl\xc3\x9cssel=a", b"/?schl\xc3\x9cssel=REDACTED"),
        (b"/?schl%C3%BCssel=a&SCHL%c3%9cSSEL=b", b"/?schl%C3%BCssel=REDACTED&SCHL%c3%9cSSEL=REDACTED"),
        # A parameter of the path, and a URL in a URL.
        (b"/a;token=abc/b;c=1?d=2", b"/a;token=REDACTED/b;c=1?d=2"),
        (b"/a;token=abc", b"/a;token=REDACTED"),
        (b"/?next=http://a/?token=abc&b=1", b"/?next=http://a/?token=REDACTED&b=1"),
        (b"/?next=%2Fa%3Fb%3D1%26token%3Dabc&c=1", b"/?next=%2Fa%3Fb%3D1%26token%3DREDACTED&c=1"),
        (b"/?next=%252Fa%253Ftoken%253Dabc", b"/?next=%252Fa%253Ftoken%253DREDACTED"),
    ],
)
def test_parameters_of_a_target(sent: bytes, written: bytes) -> None:
    assert Redaction(NAMES).target(sent) == written


@pytest.mark.parametrize(
    ("sent", "written"),
    [
        (b"https://a.test/b?token=c&d=e", b"https://a.test/b?token=REDACTED&d=e"),
        (b"/b?token=c", b"/b?token=REDACTED"),
        (b"https://a.test/#a=b&token=c/d", b"https://a.test/#a=b&token=REDACTED"),
        (b"https://a.test/?token=c#d", b"https://a.test/?token=REDACTED"),
        (b"https://user:secret@a.test/b@c", b"https://REDACTED@a.test/b@c"),
        (b"//user:sec@ret@a.test", b"//REDACTED@a.test"),
        (b"a;token=b", b"a;token=b"),  # no URL
    ],
)
def test_a_url_in_a_header(sent: bytes, written: bytes) -> None:
    assert Redaction(NAMES).header(b"referer", sent) == written


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("begin", "again"),
    [
        (b"/?", b"&"),
        (b"/?&", b" "),
        (b"/?&", b"%20"),
        (b"/?&", b"%252520"),
        (b"/?%", b"25"),
        (b"/?", b"&%25252525"),
        (b"/?", b"&toke"),
        (b"/?&token", b"["),
        (b"/?&token", b"[0]"),
        (b"/?&token[", b"0"),
        (b"/?", b"[token"),
        (b"/", b";token[0"),
    ],
)
def test_no_target_takes_more_than_time_in_proportion_to_its_length(begin: bytes, again: bytes) -> None:
    """A million bytes take a second at most; in proportion to the square of the length they would take an hour."""
    target = begin + again * (1_000_000 // len(again))
    assert Redaction(NAMES).target(target) == target


def test_user_information_is_redacted_even_if_nothing_else_is() -> None:
    nothing = Redaction([])
    assert nothing.header(b"referer", b"http://u:p@a/?token=b") == b"http://REDACTED@a/?token=b"
    assert nothing.target(b"/?token=b") == b"/?token=b"


def test_headers() -> None:
    write = make_formatter("{request_header:X-Token} {request_header:HOST} {host} {user_agent}", Redaction([
        "x-TOKEN", "Host", "user-agent",
    ]))  # fmt: skip
    assert write(record(request=request(fields=[b"X-Token: a", b"User-Agent: b"]))) == (
        b"REDACTED - shop.example.com REDACTED\n"
    )
    assert write(record(request=request(fields=[]))) == b"- - shop.example.com -\n"


@st.composite
def written_names(draw: st.DrawFn) -> bytes:
    """A name of a secret in any case, each of its bytes percent-encoded or not."""
    name = draw(st.sampled_from(["token", "api_key", "schlüssel", "pass phrase"]))
    parts = []
    for character in name:
        cased = draw(st.sampled_from([character.lower(), character.upper()]))
        for octet in cased.encode():
            encoded = draw(st.sampled_from([b"%%%02x", b"%%%02X"])) % octet
            parts.append(encoded if octet > 127 or octet == 32 or draw(st.booleans()) else bytes([octet]))
    return b"".join(parts)


SECRET = b"5eCr3T"
NOT_AMPERSAND = st.binary(max_size=8).map(lambda value: value.replace(b"&", b"").replace(b"#", b""))
SECRET_PARAMETERS = st.builds(
    lambda before, name, index, first, rest: before + name + index + b"=" + first + SECRET + rest,
    st.sampled_from([b"&", b";", b"&+", b"?", b"&a["]),
    written_names(),
    st.sampled_from([b"", b"[]", b"%5b1%5D"]),
    NOT_AMPERSAND,
    NOT_AMPERSAND,
)
PARAMETERS = SECRET_PARAMETERS | ANY_BYTES.map(lambda value: b"&" + value)
QUERIES = st.lists(PARAMETERS, max_size=5).map(lambda parts: b"?" + b"".join(parts))


@given(ANY_BYTES, QUERIES, QUERIES, QUERIES)
def test_no_redacted_value_ever_appears(path: bytes, query: bytes, from_query: bytes, fragment: bytes) -> None:
    head = request(
        target=b"/" + path + query,
        fields=[
            b"Referer: http://u:" + SECRET + b"@a" + from_query + b"#" + fragment[1:],
            b"X-Secret: " + SECRET,
            b"X-Original-URL: /" + path + query,
        ],
    )
    for format in FORMATS:
        written = make_formatter(format, Redaction([*NAMES, "x-secret"]))(record(request=head))
        assert SECRET not in written, (format, written)


@given(ANY_BYTES, st.lists(ANY_BYTES))
def test_what_is_no_secret_stays_as_it_is(path: bytes, parameters: list[bytes]) -> None:
    target = b"/" + path + b"?" + b"&".join(parameters)
    assert Redaction(["nowhere-to-be-found"]).target(target) == target
