"""Which expressions are taken, and which could be made slow."""

import pytest

from config.expressions import groups_of, parse_expression, pieces_of, unknown_group


@pytest.mark.parametrize(
    "text",
    [
        r"^/v[0-9]+/", r"^/(?:[a-z]+/)*x", r"^/([^/]+)/([^/]+)/([^/]+)$", r"\.php$", r"foo.*bar", r"^/(?:shop|bank)/",
        r"(?i)^/ADMIN", r"^/(.*)/edit/(.*)$", r"^/[^/]+\.(?:jpg|png)$", r"^/(?P<a>\d+)(?:/\w+)*$", r"^/x(?>a|b)++$",
        r"^(?:[^/]+/){16}$", r"^(?:/[a-z]+){3}$", r"^(?:a|(?:b|c)+d)*$", r"^/(?:[^/]+/)*[^/]+\.php$", r"^/(.*)/x?(.*)$",
        r"^(?=.*a)(?=.*b)(?!.*c).*$",
        r".*/[a-z]+/x", r"[a-z]+/[a-z]+/x", r"^/.*/[^/]+\.(jpg|png)$", r"/api/v[0-9]+/.*\.json$", r"^/.*[0-9]+/x",
        r"^/(?:en|de|fr)?/?shop", r"^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}x",
    ],
)  # fmt: skip
def test_usual_expressions_are_taken(text):
    assert parse_expression(text) == text


@pytest.mark.parametrize(
    "text",
    [
        r"(a+)+$", r"(a|aa)+$", r"(?:a?a)+$", r"^(.*.*.*)x", r"^.*a.*b.*c", r"(\w+\s?)*$", r"(?:[a-z]+)*@",
        r"(?>(a+)+b)",
        r"(?=(a+)+b)", r"(a{1,20}){1,20}$", r"^(?:.*a){5}b",
        r"^(?:xa*a*)*y$", r"^(?:xa*a*){16}y$", r"^(?:xa?a?a?)*y$", r"^(?:/[a-z]+-?[a-z]+)*y$", r"^(?:xa{1,2}a{1,2})*$",
        "^/" + 30 * "a?" + "b$", r"(?:a?){16}b", r"^(x)?(?(1)(?:a+)+|b)$", r"(?i)^/(?:K+k+/)*x", r"^(?:b?a*+b)*$",
        r"^(?:b?(?:a?){2}b)*$", r"^(?:(?=.*a.*b)x)*$", r"^(?:x(?:a|aa)?a?)*$", r"\b.*a.*b",
        r"[ab]+[ab]+y$", r"/*?/*[ab]", r"^[^/]+a*?a{2,}y$", r"x*+(?=.*a*?x{2})$", r"(?:(?:.))+[ab]?a*!",
    ],
)  # fmt: skip
def test_what_could_be_made_slow_is_refused(text):
    with pytest.raises(ValueError, match="must be an expression that no path can make slow"):
        parse_expression(text)


@pytest.mark.parametrize("text", ["(", "", "a\nb", "é", "a" * 1001])
def test_what_is_no_expression_is_refused(text):
    with pytest.raises(ValueError, match="must be a regular expression"):
        parse_expression(text)


def test_templates():
    assert groups_of(r"/a/\1/\g<name>") == [1, "name"]
    assert pieces_of(r"/a/\1/\g<name>x") == (b"/a/", 1, b"/", "name", b"x")
    assert unknown_group(r"/\1", "(a)") == ""
    assert "the group 2" in unknown_group(r"/\2", "(a)")
    assert "but there is none" in unknown_group(r"/\1", None)
