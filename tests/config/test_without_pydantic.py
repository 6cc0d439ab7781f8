"""Models that only have a configuration, beside those that read one."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from config import levels, provider
from config.frozen import Model
from config.load import load
from config.schema import _models
from config.without_pydantic import BaseModel, Field, SecretStr, create_model
from proxy.reader import pickled
from tests.config.reading import CONTRACT, config_of
from tests.config.test_example import EXAMPLE

if TYPE_CHECKING:
    from config.model import Config


class Limits(BaseModel):
    """As a model is declared."""

    most: int = 3
    names: tuple[str, ...] = Field(default=(), description="Which.")
    more: dict[str, str] = Field(default_factory=dict, alias="others")

    @property
    def some(self) -> bool:
        return bool(self.names)


class Narrower(Limits):
    least: int = Field(description="It has no default.")


def test_values_and_defaults() -> None:
    limits = Narrower(least=1, names=("a",))
    assert dict(limits) == {"most": 3, "names": ("a",), "more": {}, "least": 1}
    assert limits.model_fields_set == {"least", "names"}
    assert limits.some
    assert repr(limits) == "Narrower(most=3, names=('a',), more={}, least=1)"


def test_nobody_can_change_them() -> None:
    limits = Limits()
    with pytest.raises(AttributeError, match="Limits cannot be changed: most"):
        limits.most = 4
    with pytest.raises(AttributeError):
        del limits.most
    assert limits.model_copy(update={"most": 4}).most == 4
    assert limits.most == 3


def test_equal_values_are_equal() -> None:
    assert Limits(names=("a",)) == Limits(names=("a",), most=3)
    assert Limits() != Limits(most=4)
    assert Limits() != Narrower(least=1)
    assert len({Limits(more=None), Limits(more=None), Limits(more=None, most=1)}) == 2


def test_they_can_be_pickled() -> None:
    limits = pickle.loads(pickle.dumps(Limits(most=1)))
    assert limits == Limits(most=1)
    assert limits.model_fields_set == {"most"}


def test_models_whose_keys_are_known_late() -> None:
    made = create_model("Made", __base__=Limits, odd=(int, Field(default=7)))
    assert repr(made()) == "Made(most=3, names=(), more={}, odd=7)"


def test_secrets_are_not_shown() -> None:
    secret = SecretStr("abc")
    assert "abc" not in f"{secret} {secret!r}"
    assert secret.get_secret_value() == "abc"
    assert (secret, hash(secret)) == (SecretStr("abc"), hash(SecretStr("abc")))
    assert secret != SecretStr("abd")


_FIELDS = """
import json, sys
import config.without_pydantic
from config import levels, provider
from config.frozen import Model

def below(model):
    for derived in model.__subclasses__():
        yield derived
        yield from below(derived)

assert "pydantic" not in sys.modules
fields = {f"{model.__module__}.{model.__name__}": [[name, field.alias] for name, field in model.model_fields.items()]
          for model in below(Model)}
print(json.dumps(fields))
"""


def test_all_models_have_the_fields_that_pydantic_knows() -> None:
    assert provider.Provider.model_fields
    ran = subprocess.run([sys.executable, "-c", _FIELDS], capture_output=True, check=True, text=True)
    found = json.loads(ran.stdout)
    wanted: dict[str, Any] = {
        f"{model.__module__}.{model.__name__}": [[name, field.alias] for name, field in model.model_fields.items()]
        for model in _models(Model)
        if model.__module__.startswith("config.") and model.__name__ != "WithOwn"
    }
    assert {name: fields for name, fields in found.items() if not name.endswith("WithOwn")} == wanted


_VALUES = """
import pickle, sys
import config.without_pydantic
read = pickle.load(sys.stdin.buffer)
assert "pydantic" not in sys.modules
from config import levels
shown = [repr(read), *(repr(thing) for service in read.services.values()
         for thing in (levels.limits(read, None, service), [one.place for one in service.sources]))]
sys.stdout.buffer.write(pickle.dumps((shown, read)))
"""


@pytest.mark.parametrize("config", [config_of(CONTRACT), load(EXAMPLE, environ={})], ids=["contract", "example"])
def test_a_configuration_goes_there_and_back(config: Config) -> None:
    ran = subprocess.run([sys.executable, "-c", _VALUES], input=pickled(config), capture_output=True, check=True)
    shown, back = pickle.loads(ran.stdout)
    assert shown == [
        repr(config),
        *(
            repr(thing)
            for service in config.services.values()
            for thing in (levels.limits(config, None, service), [one.place for one in service.sources])
        ),
    ]
    assert repr(back) == repr(config)
