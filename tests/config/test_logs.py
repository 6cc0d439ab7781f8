from pathlib import Path

import pytest
from pydantic import ValidationError

from config.logs import AccessLog
from config.references import access_log_templates
from tests.config.reading import FOLDER, SMALL, config_of


def access_log(text):
    log = config_of(SMALL + f"access_log: {text}\n").access_log
    assert log is not None
    return log


def test_it_is_off_unless_it_is_asked_for():
    assert config_of(SMALL).access_log is None
    assert access_log("{}") == AccessLog()


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("stdout", "stdout"),
        ("stderr", "stderr"),
        ("./stdout", FOLDER / "stdout"),
        ("logs/access.log", FOLDER / "logs/access.log"),
        ("/var/log/access.log", Path("/var/log/access.log")),
    ],
)
def test_paths(written, path):
    assert access_log(f"{{path: {written}}}").path == path


@pytest.mark.parametrize("written", ["json", "clf", "combined", "'{a}'", "'x {a}\t{b} y'", "'{ {a}'"])
def test_formats(written):
    assert access_log(f"{{format: {written}}}").format == written.strip("'")


@pytest.mark.parametrize("wrong", ["", "jsn", "{}", "{a", "a}", "{a}\n", "{a}\r{b}", "{a}\0", "{a}\x7f"])
def test_not_a_format(wrong):
    with pytest.raises(ValidationError, match=r"must be (json, clf, combined, or a template|one line)"):
        AccessLog(format=wrong)


def test_names_to_redact_are_kept_in_lower_case_and_take_the_place_of_the_default_ones():
    assert access_log("{redact: [X-Token, PIN]}").redact == ("x-token", "pin")
    assert access_log("{redact: []}").redact == ()
    assert all(name == name.lower() for name in AccessLog().redact)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({}, []),
        ({"access_log": None}, []),
        ({"access_log": {}}, []),
        ({"access_log": {"format": "clf"}}, []),
        ({"access_log": {"format": "no field"}}, []),
        ({"access_log": {"format": 5}}, []),
        ({"access_log": {"format": "{a}", "path": 5, "unknown": 1}}, [(("access_log", "format"), "{a}")]),
    ],
)
def test_templates_for_those_who_know_the_fields(data, found):
    assert list(access_log_templates(data)) == found
