"""Netflix' own Eureka server, whose registry is in its memory and nowhere else."""

from __future__ import annotations

import functools
import json
import time
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from tests.servers.maven import java, maven_jars
from tests.servers.ports import free_port
from tests.servers.process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = Path(__file__).parent
CACHE = 0.05  # seconds that the server's answers may be old; 30 unless it is configured
DATA_CENTER = {"@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn"}

# Start-up is what a test waits for, not the speed of the thousandth request. XStream looks into Java's own classes.
JAVA = [
    "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.net.preferIPv4Stack=true",
    *(f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in ("lang", "lang.reflect", "text", "util")),
    "--add-opens=java.desktop/java.awt.font=ALL-UNNAMED",
    "-Dorg.eclipse.jetty.util.log.class=org.eclipse.jetty.util.log.StdErrLog",
]  # fmt: skip

LOGIN_CONFIG = """\
  <security-constraint>
    <web-resource-collection><web-resource-name>all</web-resource-name><url-pattern>/*</url-pattern></web-resource-collection>
    <auth-constraint><role-name>reader</role-name></auth-constraint>
  </security-constraint>
  <login-config><auth-method>BASIC</auth-method><realm-name>eureka</realm-name></login-config>
  <security-role><role-name>reader</role-name></security-role>
"""
LOGIN_SERVICE = """\
<!DOCTYPE Configure PUBLIC "-//Jetty//Configure//EN" "http://www.eclipse.org/jetty/configure_9_3.dtd">
<Configure class="org.eclipse.jetty.webapp.WebAppContext">
  <Get name="securityHandler"><Set name="loginService">
    <New class="org.eclipse.jetty.security.HashLoginService">
      <Set name="name">eureka</Set><Set name="config">{realm}</Set>
    </New>
  </Set></Get>
</Configure>
"""

# A proxy that the environment names is not for servers on this machine.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


@functools.cache
def program() -> tuple[str, Path]:
    """Return Java's path and the folder of the server's jars; UnavailableError when one of them cannot be had."""
    return java(), maven_jars(HERE / "eureka_pom.xml")


class EurekaServer:
    """One server on a port of its own. After `stop` or `kill`, `start` brings it back with nothing registered.

    With a `login`, nobody else is answered. `port` and `peers` are for servers that tell each other what they hear.
    Instances whose leases end are taken out within `eviction` seconds. `properties` are more of Eureka's own.
    The calls that write block for a few milliseconds each, which a test's event loop can bear.
    """

    def __init__(
        self,
        folder: Path,
        *,
        login: tuple[str, str] | None = None,
        port: int | None = None,
        peers: Iterable[int] = (),
        eviction: float = 0.2,
        **properties: object,
    ) -> None:
        self.port = port or free_port()
        self._login = login
        java_path, jars = program()
        web = folder / "web" / "WEB-INF"
        web.mkdir(parents=True, exist_ok=True)
        descriptor = (HERE / "eureka_web.xml").read_text()
        if login:
            descriptor = descriptor.replace("  <!-- login -->\n", LOGIN_CONFIG)
            (folder / "realm.properties").write_text(f"{login[0]}: {login[1]},reader\n")
            (web / "jetty-web.xml").write_text(LOGIN_SERVICE.format(realm=folder / "realm.properties"))
        (web / "web.xml").write_text(descriptor)
        urls = [f"http://127.0.0.1:{other}/eureka/v2/" for other in (self.port, *peers)]
        settings = {
            "myUrl": urls[0],
            "serviceUrl.default": ",".join(urls),
            "region": "default",
            "port": self.port,
            "registration.enabled": "false",
            "shouldFetchRegistry": "false",
            "waitTimeInMsWhenSyncEmpty": 0,  # it answers at once, and waits for no peer to copy from
            "numberRegistrySyncRetries": 0,
            "responseCacheUpdateIntervalMs": int(CACHE * 1000),
            # A change in the moment in which an answer is made can be missing in it until this time has passed.
            "responseCacheAutoExpirationInSeconds": 1,
            "evictionIntervalTimerInMs": int(eviction * 1000),
            "enableSelfPreservation": "false",  # the tests register few and lose many
            **properties,
        }
        command = [
            java_path, *JAVA, *(f"-Deureka.{name}={value}" for name, value in settings.items()),
            "-cp", f"{jars}/*", "org.eclipse.jetty.runner.Runner",
            "--host", "127.0.0.1", "--port", str(self.port), "--path", "/eureka", str(web.parent),
        ]  # fmt: skip
        self._process = ServerProcess(command, folder / f"eureka-{self.port}.log", self._is_ready, deadline=60.0)
        self.start = self._process.start
        self.stop = self._process.stop
        self.kill = self._process.kill
        self.freeze = self._process.freeze
        self.thaw = self._process.thaw
        self.output = self._process.output

    def bring_back(self) -> None:
        """Let it run, whatever was done to it."""
        if self._process.is_running:
            self.thaw()
        else:
            self.kill()
            self.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/eureka/v2/"

    def call(self, method: str, path: str, body: object = None, **query: object) -> Any:
        """Send one request and return the decoded JSON of the answer, or None for an empty one."""
        url = self.address + path + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self._login:
            headers["Authorization"] = "Basic " + b64encode(":".join(self._login).encode()).decode()
        try:
            with _open(urllib.request.Request(url, data, headers, method=method), timeout=10) as response:
                answer = response.read()
        except urllib.error.HTTPError as error:
            said = error.read().decode("utf-8", "replace")
            raise AssertionError(f"{method} {path}: HTTP {error.code}: {said}") from None
        return json.loads(answer) if answer else None

    def register(self, app: str, name: str, **fields: object) -> None:
        """Register an instance, or put it in another one's place; `fields` are those of Eureka's own."""
        self.call("POST", f"apps/{app}", {"instance": described(app, name, **fields)})

    def deregister(self, app: str, name: str) -> None:
        self.call("DELETE", f"apps/{app}/{quote(name, safe='')}")

    def register_many(self, changes: Iterable[dict[str, object] | tuple[str, str]]) -> None:
        """Do many changes in their order in one request, the way peers tell each other.

        A change is an instance as `described` returns it, or an application and the name of one that is taken out.
        """
        now = int(time.time() * 1000)
        tasks = []
        for change in changes:
            if isinstance(change, tuple):
                app, name = change
                tasks.append({"action": "Cancel", "appName": app, "id": name, "lastDirtyTimestamp": now})
            else:
                task = {"action": "Register", "appName": change["app"], "id": change["instanceId"]}
                tasks.append({**task, "lastDirtyTimestamp": now, "status": "UP", "instanceInfo": change})
        self.call("POST", "peerreplication/batch/", {"replicationList": tasks})

    def renew(self, app: str, name: str) -> None:
        self.call("PUT", f"apps/{app}/{quote(name, safe='')}", status="UP")

    def override(self, app: str, name: str, status: str) -> None:
        """Have the instance shown with this status, whatever it says itself."""
        self.call("PUT", f"apps/{app}/{quote(name, safe='')}/status", value=status)

    def end_override(self, app: str, name: str, status: str = "UP") -> None:
        self.call("DELETE", f"apps/{app}/{quote(name, safe='')}/status", value=status)

    def told(self, app: str) -> list[dict[str, Any]]:
        """Return what readers are told of an application's instances, by identity: in each of the answers they ask for.

        Each is as old as the server's cache for itself.
        """
        found: list[dict[str, Any]] = []
        for path in ("apps", "apps/delta"):
            try:
                answer = self.call("GET", path)
            except AssertionError as error:
                if "HTTP 403" not in str(error):  # of a server that tells no deltas
                    raise
                continue
            applications = answer["applications"]["application"]
            instances = [one for told in applications if told["name"] == app for one in told["instance"]]
            found.append({one["instanceId"]: one for one in instances if one["actionType"] != "DELETED"})
        return found

    def _is_ready(self) -> bool:
        try:
            self.call("GET", "apps")
        except AssertionError:  # Jetty serves before Eureka does
            return False
        return True


def described(app: str, name: str, **fields: object) -> dict[str, object]:
    """Return an instance in Eureka's own form, at 10.0.0.1:8080 unless the fields say otherwise."""
    return {
        "instanceId": name,
        "app": app,
        "hostName": "web.internal",
        "ipAddr": "10.0.0.1",
        "vipAddress": app.lower(),
        "status": "UP",
        "port": {"$": 8080, "@enabled": "true"},
        "securePort": {"$": 8443, "@enabled": "false"},
        "dataCenterInfo": DATA_CENTER,
        "leaseInfo": {"renewalIntervalInSecs": 30, "durationInSecs": 90},
        **fields,
    }
