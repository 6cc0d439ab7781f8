"""What is loaded by those who do not want it: nothing that is large."""

from __future__ import annotations

import subprocess
import sys

LARGE = ("acme", "bcrypt", "cryptography", "josepy", "kazoo", "passlib", "h2")
PROGRAM = """
import sys
from config.load import parse
from proxy.application import Application
Application(parse(sys.argv[1], name="t", folder=None, environ={}))
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
PLAIN = """
listeners: [{bind: "127.0.0.1:0"}]
routes: [{service: web}]
services: {web: {discovery: {static: ["127.0.0.1:9"]}, tls: {}}}
"""


def test_a_plain_configuration_loads_no_library_that_only_others_need() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM, PLAIN], capture_output=True, check=True, text=True)
    assert not set(ran.stdout.split()) & set(LARGE)
