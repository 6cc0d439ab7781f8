from __future__ import annotations

from typing import Any

import pytest

from discovery.eureka.entries import View, read_entry, read_usable, show_name
from discovery.instance import Availability, Instance

WHOLE = {
    "instanceId": "web-1",
    "app": "WEB",
    "ipAddr": "10.0.0.5",
    "hostName": "web-1.internal",
    "status": "UP",
    "overriddenStatus": "UNKNOWN",
    "port": {"$": 8080, "@enabled": "true"},
    "securePort": {"$": 8443, "@enabled": "false"},
    "dataCenterInfo": {"name": "MyOwn"},
    "metadata": {"weight": "3", "zone": "eu-1a", "tags": "v2, blue,,", "version": "2"},
    "vipAddress": "web,WEB.internal",
}


def read(view: View | None = None, **changes: Any) -> Instance:
    return read_usable(read_entry("web", {**WHOLE, **changes}), view or View())


def test_everything_that_an_instance_may_have():
    assert read() == Instance(
        "web-1",
        "10.0.0.5",
        8080,
        weight=3,
        zone="eu-1a",
        tags=("v2", "blue"),
        metadata={"weight": "3", "zone": "eu-1a", "tags": "v2, blue,,", "version": "2"},
    )
    entry = read_entry("web", WHOLE)
    assert (entry.app, entry.vips, entry.secure_vips) == ("WEB", ("web", "web.internal"), ())


@pytest.mark.parametrize(
    ("status", "override", "availability", "reason"),
    [
        ("UP", "UNKNOWN", Availability.UP, ""),
        ("up", None, Availability.UP, ""),
        ("OUT_OF_SERVICE", None, Availability.DRAINING, "Eureka says OUT_OF_SERVICE"),
        ("DOWN", None, Availability.DOWN, "Eureka says DOWN"),
        ("STARTING", "UNKNOWN", Availability.DOWN, "Eureka says STARTING"),
        ("UNKNOWN", None, Availability.DOWN, "Eureka says UNKNOWN"),
        ("ZOMBIE", None, Availability.DOWN, "Eureka says UNKNOWN"),
        (None, None, Availability.DOWN, "Eureka says UNKNOWN"),
        (7, None, Availability.DOWN, "Eureka says UNKNOWN"),
        ("UP", "OUT_OF_SERVICE", Availability.DRAINING, "Eureka says OUT_OF_SERVICE, which somebody set"),
        ("UP", "DOWN", Availability.DOWN, "Eureka says DOWN, which somebody set"),
        ("OUT_OF_SERVICE", "OUT_OF_SERVICE", Availability.DRAINING, "Eureka says OUT_OF_SERVICE, which somebody set"),
        ("DOWN", "UP", Availability.DOWN, "Eureka says DOWN"),
        ("DOWN", "OUT_OF_SERVICE", Availability.DOWN, "Eureka says DOWN"),
        ("OUT_OF_SERVICE", "UP", Availability.DRAINING, "Eureka says OUT_OF_SERVICE"),
    ],
)
@pytest.mark.parametrize("key", ["overriddenstatus", "overriddenStatus"])
def test_statuses(status: object, override: object, availability: Availability, reason: str, key: str):
    told = {name: value for name, value in WHOLE.items() if name != "overriddenStatus"}
    instance = read_usable(read_entry("web", {**told, "status": status, key: override}), View())
    assert (instance.availability, instance.reason) == (availability, reason)


@pytest.mark.parametrize("enabled", ["true", "True", True])
def test_ports_that_are_enabled(enabled: object):
    secured = read(View(secure=True), securePort={"$": "8443", "@enabled": enabled})
    assert (secured.port, secured.secure, read(View()).secure) == (8443, True, False)
    assert read(port=81).port == 81
    assert read(port={"$": 82}).port == 82


@pytest.mark.parametrize(
    ("view", "changes", "complaint"),
    [
        (View(secure=True), {}, "securePort is not enabled; secure: false would take the other one"),
        (View(), {"port": {"$": 80, "@enabled": "false"}}, "port is not enabled; secure: true would take the other"),
        (View(), {"port": {"$": 80, "@enabled": None}}, "port is not enabled"),
        (View(), {"port": None}, "port must be a number, not nothing"),
        (View(), {"port": {"$": "80x", "@enabled": "true"}}, "port must be a number, not '80x'"),
        (View(), {"port": True}, "port must be a number, not true"),
        (View(), {"port": 70000}, "70000"),
        (View(), {"port": -1}, "must be an address"),
        (View(), {"ipAddr": None}, "ipAddr must be a text, not nothing; address: hostname would take the other one"),
        (View(host_name=True), {"hostName": ""}, "hostName must be a text, not ''; address: ip would take the other"),
        (View(), {"ipAddr": "a b"}, "must be an address"),
        (View(), {"ipAddr": "h/../x"}, "must be an address"),
        (View(), {"instanceId": "a\nb"}, "id must be one printable line"),
        (View(), {"instanceId": "a" * 600}, "id must be one printable line"),
        (View(), {"instanceId": ["a"]}, "instanceId must be a text"),
        (View(), {"metadata": {"weight": "70000"}}, "weight must be a whole number from 0 to 65535, not 70000"),
        (View(), {"metadata": {"zone": ["a"]}}, "zone must be a text"),
        (View(), {"metadata": {"a": {}}}, "metadata and labels must be a mapping of texts"),
        (View(), {"metadata": "text"}, "metadata and labels must be a mapping of texts"),
    ],
)  # fmt: skip
def test_entries_that_make_no_sense(view: View, changes: dict[str, Any], complaint: str):
    with pytest.raises(ValueError, match=complaint):
        read(view, **changes)


def test_addresses():
    assert read(View(host_name=True)).address == "web-1.internal"
    assert read(ipAddr="fd00::5").authority == "[fd00::5]:8080"
    assert read(View(host_name=True), ipAddr=None).address == "web-1.internal"


def test_what_is_said_about_an_identity():
    amazon = {"name": "Amazon", "metadata": {"instance-id": "i-1", "availability-zone": "us-east-1c"}}
    assert read(instanceId=None, dataCenterInfo=amazon).id == "i-1"
    assert read(instanceId="").id == "web-1.internal"
    assert show_name(read_entry("web", {"instanceId": 7})) == "an instance without an instanceId"
    assert show_name(read_entry("web", {"instanceId": "a\x00b"})) == "a?b"


def test_zones():
    amazon = {"name": "Amazon", "metadata": {"availability-zone": "us-east-1c"}}
    assert read(dataCenterInfo=amazon).zone == "eu-1a"
    assert read(dataCenterInfo=amazon, metadata={}).zone == "us-east-1c"
    assert read(dataCenterInfo=amazon, metadata=None).zone == "us-east-1c"
    assert read(dataCenterInfo={**amazon, "name": "MyOwn"}, metadata={}).zone == ""
    assert read(dataCenterInfo="Amazon", metadata={}).zone == ""
    assert read(dataCenterInfo={"name": "Amazon", "metadata": 7}, metadata={}).zone == ""


def test_metadata():
    assert read(metadata={"@class": "java.util.Collections$EmptyMap"}).metadata == {}
    assert read(metadata={"a": 1, "b": True, "c": None}).metadata == {"a": "1", "b": "true"}
    assert read(metadata={"weight": 4}).weight == 4
    assert read(metadata={"weight": "heavy"}).weight == 1
    assert read(metadata={"weight": "0"}).weight == 0
