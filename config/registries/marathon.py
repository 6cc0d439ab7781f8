"""The keys of an app in Marathon."""

from typing import Annotated, Literal

from config.declaring import Field
from config.frozen import Model
from config.registries.waits import Pause
from config.texts import LoginPassword, MarathonApp, MarathonUrl, NotEmpty, PasswordFile
from config.together import one_login, one_port
from config.units import Int, PositiveDuration


class Marathon(Model):
    """An app in Marathon, read again whenever an event says that something happened to it."""

    rules = (one_login, one_port)

    app: MarathonApp = Field(description="The whole ID of the app, such as /shop/web.")
    urls: Annotated[tuple[MarathonUrl, ...], Field(min_length=1)] = Field(
        default=("http://127.0.0.1:8080",), description="The URLs of Marathon's servers, which are tried in turn."
    )
    port_name: NotEmpty | None = Field(
        default=None, description="The port to use, by its name in the app's definition."
    )
    port_index: Annotated[Int, Field(ge=0, le=99)] = Field(
        default=0, description="The port to use, by its place in the app's definition, from 0; instead of port_name."
    )
    address: Literal["agent", "container"] = Field(
        default="agent",
        description="agent: a task is reached at its agent, on the port that it was given there; container: at its own "
        "address, on the container's port.",
    )
    username: NotEmpty | None = Field(
        default=None, description="The user to ask as; it must be allowed to view the app. Left out: none."
    )
    password: LoginPassword = None
    password_file: PasswordFile = None
    timeout: PositiveDuration = Field(
        default=5.0, description="How long an answer may take before the next server is asked."
    )
    interval: Pause = Field(
        default=30.0, description="The time from one look to the next while no event comes; 100ms or more."
    )
