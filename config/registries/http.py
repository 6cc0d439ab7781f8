"""The keys of a document at a URL."""

from config.declaring import Field
from config.frozen import FrozenMapping, Model
from config.registries.waits import Patience, Pause
from config.texts import DocumentUrl, HeaderName, HeaderValue, Token
from config.together import one_token
from config.units import PathText


class Http(Model):
    """A JSON document at a URL, in the form of Prometheus' http_sd, looked at again and again."""

    rules = (one_token,)

    url: DocumentUrl = Field(description="The URL of the document, http:// or https://.")
    interval: Pause = Field(default=10.0, description="The time from one look to the next; 100ms or more.")
    timeout: Patience = Field(default=5.0, description="How long one look may take, redirects and all; 10ms or more.")
    headers: FrozenMapping[HeaderName, HeaderValue] = Field(
        default_factory=dict,
        validate_default=True,
        description="More headers for the requests, by name. Write ${NAME} to take a value from the environment.",
    )
    token: Token | None = Field(
        default=None,
        description="A token to ask with, sent as Authorization: Bearer. Write ${NAME} to take it from the "
        "environment. Left out: none.",
    )
    token_file: PathText | None = Field(
        default=None,
        description="A file that holds the token, instead of token. A relative path starts at this file's folder.",
    )
