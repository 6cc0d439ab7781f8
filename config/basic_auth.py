"""The keys of basic authentication: who may pass with a name and a password."""

import re
from typing import Annotated

from config.declaring import AfterValidator, Field
from config.frozen import Model
from config.own_fields import FieldToInstances
from config.units import Bool, PathText, show

_REALM = re.compile(r"[ -~]{1,200}")


def _realm(realm: str) -> str:
    if not _REALM.fullmatch(realm):
        raise ValueError(f"must be 1 to 200 printable ASCII characters, not {show(realm)}")
    return realm


class BasicAuth(Model):
    """Whoever gives no name and password of the file gets a 401 that asks for them."""

    file: PathText = Field(
        description="The users and the hashes of their passwords, one name:hash a line as htpasswd writes them: bcrypt "
        "(-B), SHA-crypt (-5, -2), apr1 (-m) or SHA-1 (-s). It is read again when it changes. A relative path starts "
        "at this file's folder."
    )
    realm: Annotated[str, AfterValidator(_realm)] = Field(
        default="pointsman", description="What browsers show above their question for the password."
    )
    header: FieldToInstances | None = Field(
        default=None,
        description="The header that tells the instance the user's name; a client's own is dropped. Left out: none.",
    )
    remove_authorization: Bool = Field(
        default=False,
        description="true: the instance does not get the Authorization header, which has the password in it.",
    )
