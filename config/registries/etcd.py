"""The keys of a service in etcd."""

from typing import Annotated

from config.declaring import Field
from config.frozen import Model
from config.texts import EtcdPrefix, EtcdUrl, LoginPassword, NotEmpty, PasswordFile
from config.together import one_login
from config.units import PositiveDuration

Endpoints = Annotated[
    tuple[EtcdUrl, ...],
    Field(min_length=1, description="The URLs of the cluster's members, which are tried in turn."),
]
AnswerTime = Annotated[
    PositiveDuration, Field(description="How long an answer may take before the next member is asked.")
]
ENDPOINTS = ("http://127.0.0.1:2379",)


class Etcd(Model):
    """A service in etcd: every key below a prefix is one instance, and a change arrives as soon as etcd knows it."""

    rules = (one_login,)

    prefix: EtcdPrefix = Field(
        description="What the keys of the instances begin with, such as /services/web/; what follows is the identity."
    )
    endpoints: Endpoints = ENDPOINTS
    username: NotEmpty | None = Field(
        default=None, description="The user to ask as; it must be allowed to read the prefix. Left out: none."
    )
    password: LoginPassword = None
    password_file: PasswordFile = None
    timeout: AnswerTime = 5.0
