import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import ConfigError
from config.source import read, resolve


def data_of(text, **environ):
    source = read(text, name="p.yaml", environ=environ)
    assert source.problems == ()
    return source.data


def problems_of(text, **environ):
    source = read(text, name="p.yaml", environ=environ)
    return str(ConfigError("p.yaml", source.problems, source.lines)).splitlines()


def failure_of(text):
    with pytest.raises(ConfigError) as failed:
        read(text, name="p.yaml", environ={})
    return str(failed.value)


def test_every_key_and_item_has_its_line():
    source = read("a:\n  b: 1\n\n  c:\n  - x\n  - {d: 2}\n", name="p.yaml", environ={})
    assert source.data == {"a": {"b": 1, "c": ["x", {"d": 2}]}}
    assert source.lines == {
        (): 1, ("a",): 1, ("a", "b"): 2, ("a", "c"): 4, ("a", "c", 0): 5, ("a", "c", 1): 6, ("a", "c", 1, "d"): 6,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None), ("true", True), ("False", False), ("12", 12), ("-3", -3), ("010", 10),
        ("0x1f", 31), ("0o17", 15), ("1.5", 1.5), (".5", 0.5), ("1e3", 1000.0), ("-.inf", float("-inf")),
        ("yes", "yes"), ("off", "off"), ("12:30:45", "12:30:45"), ("1_000", "1_000"), ("2026-01-31", "2026-01-31"),
        ("9" * 5000, float("inf")),
    ],
)  # fmt: skip
def test_scalars_follow_yaml_1_2(text, value):
    assert resolve(text) == value


def test_quotes_make_text():
    assert data_of("[12, '12', \"true\", !!str 5]") == [12, "12", "true", "5"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${PORT}", 9000),
        ("'${PORT}'", "9000"),
        ("h:${PORT}", "h:9000"),
        ("${NONE:-5s}", "5s"),
        ("${EMPTY:-5}", 5),
        ("${EMPTY}", None),
        ("${NONE:-}", None),
        ("'$${PORT} $PORT ${PORT}'", "${PORT} $PORT 9000"),
        ("${TRICK}", "{a: 1}\nb: 2"),
    ],
)
def test_variables(text, value):
    environ = {"PORT": "9000", "EMPTY": "", "TRICK": "{a: 1}\nb: 2"}
    assert data_of(f"k: {text}", **environ) == {"k": value}


def test_a_variable_without_a_value_is_named_with_its_place():
    source = read("a:\n  - x\n  - ${HOST}:${PORT}\n", name="p.yaml", environ={})
    assert source.unresolved == {("a", 1)}
    assert str(ConfigError("p.yaml", source.problems, source.lines)).splitlines() == [
        "p.yaml:3: a[1]: the environment variable HOST is not set; set it, or write ${HOST:-default}",
        "p.yaml:3: a[1]: the environment variable PORT is not set; set it, or write ${PORT:-default}",
    ]


@pytest.mark.parametrize("text", ["${", "${}", "${1A}", "${A B}", "${A:x}", "${A:-${B}}", "${A"])
def test_a_malformed_variable(text):
    assert problems_of(f"k: '{text}'", A="1") == [
        (
            "p.yaml:1: k: a variable is written ${NAME} or ${NAME:-default}, without another inside; "
            "write $${ where ${ itself is meant"
        )
    ]


def test_variables_that_are_not_utf_8():
    assert problems_of("k: ${A}", A="\udcff") == ["p.yaml:1: k: holds bytes that are not UTF-8 text"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3", "p.yaml:3: a: written twice; the first is on line 1"),
        ("x:\n  <<: {a: 1}", ("p.yaml:2: x: merge keys (<<) are not supported; "
         "write the keys out, or give a whole value an alias")),
        ("1: x", 'p.yaml:1: the key 1 must be text; write "1"'),
        ("true: x", 'p.yaml:1: the key true must be text; write "true"'),
        ("? [a]\n: x", "p.yaml:1: a key must be text, not a list or a mapping"),
        ("a: !thing x", "p.yaml:1: a: has the tag !thing; tags are not supported, leave it out"),
    ],
)  # fmt: skip
def test_problems_that_leave_something_to_go_on_with(text, problem):
    assert problems_of(text) == [problem]


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("a: 1\nb:\n\t- x", "p.yaml:3: not YAML, at column 1: a tab, where YAML wants spaces"),
        ("a: b: c", ("p.yaml:1: not YAML, at column 5: a ':' that cannot stand here; "
         "check the indentation, or put the text in quotes")),
        ("a: 1\nb\nc: 2", ("p.yaml:3: not YAML, at column 1: a line that is neither 'key: value' nor '- item'; "
         "check the indentation")),
        ("a:\n  - x\n y: 1", ("p.yaml:3: not YAML, at column 2: this does not line up with what is above it; "
         "check the indentation")),
        ("a: [1\nb: 2", "p.yaml:2: not YAML, at column 2: a list in [ ] that is not closed, or lacks a comma"),
        ("a: 'x", "p.yaml:1: not YAML, at column 6: a quoted text that is not closed"),
        ("a: 1\n---\nb: 2", "p.yaml:2: not YAML, at column 1: a second document (---); a configuration is one"),
        ("a: *b", "p.yaml:1: not YAML, at column 4: found undefined alias 'b'"),
        ("- bind: [::1]:80", ("p.yaml:1: not YAML, at column 10: an IPv6 address with a port must be in quotes, "
         'as in "[::1]:8080"')),
        ("[{bind: :8080}]", ("p.yaml:1: not YAML, at column 9: an address without a host must be in quotes here, "
         'as in ":8080"')),
        ("a: {b: ${C}}", ("p.yaml:1: not YAML, at column 9: within { } and [ ] a variable must be in quotes, "
         'as in "${NAME}"')),
        ("a: 1\nb: \x01", "p.yaml:2: not YAML: the character U+0001 is not allowed"),
        ('a: "\\UFFFFFFFF"', "p.yaml:1: not YAML: an escape such as \\U0011FFFF that is no character"),
        ("a: &a [x, *a]", "p.yaml:1: a[1]: an alias (*) that stands for what it is inside of"),
        ("a: " + "[" * 65 + "]" * 65, "p.yaml:1: nested deeper than 64 levels"),
    ],
)  # fmt: skip
def test_what_cannot_be_gone_on_with(text, failure):
    assert failure_of(text) == failure


def test_an_alias_repeats_a_value():
    assert data_of("a: &x {b: [1]}\nc: *x") == {"a": {"b": [1]}, "c": {"b": [1]}}


def test_a_billion_laughs_are_stopped():
    text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    for one, next_one in zip("abcdefgh", "bcdefghi", strict=True):
        text += f"{next_one}: &{next_one} [{', '.join([f'*{one}'] * 10)}]\n"
    assert "more than 100000 values, with every alias (*) written out" in failure_of(text)


def test_aliases_cannot_nest_deeper_than_the_limit():
    text = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 80))
    assert "nested deeper than 64 levels" in failure_of(text)


def test_other_line_breaks_than_ours():
    assert failure_of("a: 1\r\u2028b: c: d").startswith("p.yaml:3: not YAML")


@given(st.text(alphabet="ab:-[]{}&*!'\"${}\n #|>%@?,\t\\U0x1é\r\u2028\x00", max_size=40) | st.text())
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(ConfigError):
        read(text, name="p.yaml", environ={"a": "b"})
