"""The keys of tasks in Mesos."""

from typing import Annotated, Literal

from config.declaring import Field
from config.frozen import Model
from config.texts import LoginPassword, MesosUrl, NotEmpty, PasswordFile
from config.together import one_login, one_port
from config.units import Int, PositiveDuration


class Mesos(Model):
    """Tasks in Mesos, told by the leading master as they change."""

    rules = (one_login, one_port)

    task: NotEmpty = Field(
        description="The name of the tasks, or that of their discovery information where they have any."
    )
    masters: Annotated[tuple[MesosUrl, ...], Field(min_length=1)] = Field(
        default=("http://127.0.0.1:5050",), description="The URLs of the masters, which are tried in turn."
    )
    framework: str = Field(default="", description="The name of the framework that runs the tasks. Empty: any.")
    port_name: NotEmpty | None = Field(
        default=None, description="The port to use, by its name in the tasks' discovery information."
    )
    port_index: Annotated[Int, Field(ge=0, le=99)] = Field(
        default=0, description="The port to use, by its place among those of a task, from 0; instead of port_name."
    )
    address: Literal["agent", "container"] = Field(
        default="agent",
        description="agent: a task is reached at the host name of its agent; container: at an address of its own.",
    )
    username: NotEmpty | None = Field(
        default=None, description="The user to ask as; it must be allowed to view the tasks. Left out: none."
    )
    password: LoginPassword = None
    password_file: PasswordFile = None
    timeout: PositiveDuration = Field(
        default=5.0, description="How long a master may take to answer before the next one is asked."
    )
