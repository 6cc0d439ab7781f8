"""Configurations to read, and ways to read them."""

from pathlib import Path

import pytest

from config.errors import ConfigError
from config.load import parse

FOLDER = Path("/etc/pointsman")

CONTRACT = """
listeners:
  - bind: 127.0.0.1:8080            # host:port, [::1]:port or unix:/path
routes:                             # first match wins
  - {host: shop.example.com, path: /api, service: shop}
  - {service: web}
services:
  web:
    discovery: {consul: {service: web, address: http://127.0.0.1:8500, token: abc, datacenter: dc1, tags: [a], filter: "x"}}
    balancer: round_robin           # or {type: weighted_round_robin, ...options}
    health:
      probe: {http: /healthz, interval: 5s, timeout: 2s, rise: 2, fall: 3}   # or {tcp: true, ...}
      panic_threshold: 50%
  shop:
    discovery: {static: [127.0.0.1:9001, {address: 127.0.0.1:9002, weight: 3}]}
  other:
    discovery: {file: instances.yaml}
registry: {bind: 127.0.0.1:8500, data_dir: ./registry}
admin: {bind: 127.0.0.1:9900}
log: {level: info, format: json}
"""  # noqa: E501
SMALL = """\
listeners: [{bind: ':8080'}]
routes: [{service: web}]
services:
  web:
    discovery: {static: [10.0.0.1:80]}
"""


def config_of(text, **environ):
    return parse(text, name="p.yaml", folder=FOLDER, environ=environ)


def service_of(text):
    return config_of(SMALL + text).services["web"]


def errors_of(text, checks=(), **environ):
    with pytest.raises(ConfigError) as failed:
        parse(text, name="p.yaml", folder=FOLDER, environ=environ, checks=checks)
    return str(failed.value).splitlines()
