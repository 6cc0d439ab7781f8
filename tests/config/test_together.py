from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from config.model import Consul, Discovery, EmbeddedRegistry, Probe, StaticInstance
from config.together import one_probe, one_source, one_token, repeated
from config.units import Address, Bind


@pytest.mark.parametrize(
    ("rule", "given", "message"),
    [
        (one_source, ["file"], None),
        (one_source, [], "must have one of static, file or consul"),
        (one_source, ["consul", "static"], "has static and consul: keep one of static, file or consul"),
        (one_token, ["token"], None),
        (one_token, ["service", "token", "token_file"], "has both token and token_file: keep one of them"),
        (one_probe, ["http", "expect", "host"], None),
        (one_probe, ["rise"], "must have one of http and tcp"),
        (one_probe, ["http", "tcp"], "has both http and tcp: keep one"),
        (one_probe, ["tcp", "host"], "has host with tcp: leave out what only http probes have"),
    ],
)
def test_rules(rule, given, message):
    assert rule(given) == message


def test_an_unknown_identity_is_like_no_other():
    assert list(repeated(["a", None, None, "a"])) == [(3, "must differ from item 0: both are a")]


def test_parts_made_in_code_obey_too():
    twin = StaticInstance(address=Address("h", 1))
    for make in (
        Discovery,
        Probe,
        lambda: Consul(service="x", token=SecretStr("a"), token_file=Path("b")),
        lambda: Discovery(static=(twin, twin)),
        lambda: EmbeddedRegistry(bind=Bind(path="/x")),
    ):
        with pytest.raises(ValidationError):
            make()
