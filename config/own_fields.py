"""Which headers of a request pointsman reads or writes by itself, so that a configuration cannot claim them."""

import re
from typing import Annotated

from config.declaring import AfterValidator, WithJsonSchema
from config.units import show

_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# Those that end here, or are written anew: none of them is passed on as a client sent it.
_OWN = re.compile(
    "connection|keep-alive|proxy-connection|proxy-authorization|proxy-authenticate|te|upgrade|transfer-encoding|"
    "content-length|expect|max-forwards|forwarded|x-forwarded-(?:for|proto|host|method|uri)|x-real-ip|x-request-id|"
    "proxy|http2-settings|host|via|x-client-cert.*|client-cert.*"
)


def is_own(name: str) -> bool:
    """Tell whether pointsman itself says what this header is, or takes it away."""
    return bool(_OWN.fullmatch(name.lower().replace("_", "-")))


def _to_instances(name: str) -> str:
    if not re.fullmatch(_NAME, name):
        raise ValueError(f"must be the name of a header such as X-User, not {show(name)}")
    if is_own(name):
        raise ValueError(f"must be another header: pointsman itself says what {name} is")
    return name


FieldToInstances = Annotated[
    str, AfterValidator(_to_instances), WithJsonSchema({"type": "string", "pattern": f"^{_NAME}$"})
]
