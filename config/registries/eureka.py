"""The keys of a service in Eureka."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from config.declaring import Field
from config.frozen import Model
from config.registries.waits import Patience, Pause
from config.texts import EurekaUrl, LoginPassword, NotEmpty, PasswordFile
from config.together import one_login


def app_or_vip(given: Mapping[str, Any]) -> str | None:
    """Want exactly one of the two names that Eureka knows an instance by."""
    match "app" in given, "vip" in given:
        case True, True:
            return "has both app and vip: keep one of them"
        case False, False:
            return "must have one of app and vip"
    return None


class Eureka(Model):
    """A service in Netflix' Eureka, asked for its changes every few seconds, once for all services together."""

    rules = (app_or_vip, one_login)

    app: NotEmpty | None = Field(
        default=None, description="The application's name in Eureka; it may be written in small letters."
    )
    vip: NotEmpty | None = Field(
        default=None,
        description="Instead of app: the virtual host name that the instances serve, of whichever applications they "
        "are. With secure, it is the secure virtual host name.",
    )
    urls: Annotated[tuple[EurekaUrl, ...], Field(min_length=1)] = Field(
        default=("http://127.0.0.1:8761/eureka",),
        description="The URLs of the servers' APIs, with their paths: http://10.0.0.1:8761/eureka for Spring Cloud's, "
        "http://10.0.0.1:8080/eureka/v2 for Netflix'. They are peers, and tried in turn.",
    )
    interval: Pause = Field(
        default=5.0,
        description="The time from one look to the next; 100ms or more. Services that agree in urls, "
        "login, interval and timeout share their looks.",
    )
    timeout: Patience = Field(
        default=5.0, description="How long an answer may take before the next server is asked; 10ms or more."
    )
    secure: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="Whether requests go to the instances' secure ports. They are not encrypted."
    )
    address: Literal["ip", "hostname"] = Field(
        default="ip", description="Which of its two addresses an instance is reached by: its ipAddr, or its hostName."
    )
    username: NotEmpty | None = Field(
        default=None, description="The user to ask as, by HTTP's basic authentication. Left out: none."
    )
    password: LoginPassword = None
    password_file: PasswordFile = None
