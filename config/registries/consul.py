"""The keys of a service in Consul."""

from pydantic import Field

from config.frozen import Model
from config.texts import ConsulUrl, NotEmpty, Token
from config.together import one_token
from config.units import PathText


class Consul(Model):
    """A service in Consul, watched by blocking queries: a change arrives as soon as Consul knows it."""

    rules = (one_token,)

    service: NotEmpty = Field(description="The service's name in Consul.")
    address: ConsulUrl = Field(
        default="http://127.0.0.1:8500", description="The URL of the Consul agent, best the one on this machine."
    )
    token: Token | None = Field(
        default=None,
        description="The ACL token to ask with; it needs service:read and node:read. Write ${NAME} to take it from the "
        "environment. Left out: none.",
    )
    token_file: PathText | None = Field(
        default=None,
        description="A file that holds the ACL token, instead of token. A relative path starts at this file's folder.",
    )
    datacenter: str = Field(default="", description="The datacenter to ask for. Empty: the agent's own.")
    tags: tuple[str, ...] = Field(default=(), description="Only instances that have all of these tags are used.")
    filter: str = Field(
        default="", description='A Consul filter expression, such as Service.Meta.version == "2". Empty: none.'
    )
