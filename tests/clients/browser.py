"""A Chromium without a window, driven through the Chrome DevTools Protocol."""

from __future__ import annotations

import base64
import json
import os
import signal
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.servers.program import Program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from websockets.sync.client import ClientConnection

    from tests.servers.debian import DebianProgram

_OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-extensions", "--password-store=basic", "--use-mock-keychain"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # it asks nobody but us
    *("--remote-debugging-port=0", "about:blank"),
)
_DEADLINE = 30.0  # seconds for anything it is asked
_END = 5.0  # seconds that it may take to end
_KEPT = 64 * 1024 * 1024  # bytes of response bodies that it keeps for us


class Browser(Program):
    """One browser with nothing in its memory, for the time of the block."""

    def __init__(self, program: DebianProgram, folder: Path) -> None:
        self._port = folder / "profile" / "DevToolsActivePort"  # written once it listens: the port, and a path
        command = [program.path, f"--user-data-dir={folder / 'profile'}", *_OPTIONS]
        super().__init__(command, folder / "browser.log", lambda: len(self._port.read_text().split()) == 2)
        # What else it keeps for its user, it keeps in the folder.
        self._environment = {**program.environment, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}

    def __enter__(self) -> Self:
        super().__enter__()
        port, path = self._port.read_text().split()
        self._stack = ExitStack()
        url = f"ws://127.0.0.1:{port}{path}"
        self.devtools = DevTools(self._stack.enter_context(connect(url, max_size=None, proxy=None)))
        return self

    def __exit__(self, *error: object) -> None:
        group = self.pid  # it leads the group of its many processes
        try:
            with self._stack:
                self.devtools.end_browser()
            self.wait(_END)
        finally:
            self.kill()
            try:
                os.killpg(group, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def page(self) -> Page:
        """Open an empty page."""
        target = self.devtools.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.devtools.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return Page(self.devtools, session)


class DevTools:
    """A connection to a browser, with all events that came on it so far, in order."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._calls = 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **parameters: object) -> Any:
        """Ask for something, and return what the answer holds."""
        self._calls += 1
        message = {"id": self._calls, "method": method, "params": parameters}
        self._connection.send(json.dumps(message if session is None else {**message, "sessionId": session}))
        number, answers = self._calls, []

        def answered(received: dict[str, Any]) -> bool:
            answers.append(received)
            return received.get("id") == number

        self._receive(answered, f"the answer to {method}")
        assert "error" not in answers[-1], f"{method}: {answers[-1]['error']}"
        return answers[-1]["result"]

    def wait(self, condition: Callable[[list[dict[str, Any]]], bool], what: str) -> None:
        """Wait until what has happened fulfils the condition."""
        if not condition(self.events):
            self._receive(lambda _: condition(self.events), what)

    def end_browser(self) -> None:
        """Ask it to end."""
        try:
            self.call("Browser.close")
        except ConnectionClosed:
            pass  # it was too quick to answer

    def _receive(self, enough: Callable[[dict[str, Any]], bool], what: str) -> None:
        give_up = time.monotonic() + _DEADLINE
        while True:
            try:
                received = json.loads(self._connection.recv(max(0.0, give_up - time.monotonic())))
            except TimeoutError:
                raise AssertionError(f"not within {_DEADLINE:g} s: {what}") from None
            if "method" in received:
                self.events.append(received)
            if enough(received):
                return


class Page:
    """A page, and what it loaded since it was last told to load something."""

    def __init__(self, devtools: DevTools, session: str) -> None:
        self._devtools = devtools
        self._session = session
        self._began = 0
        self.call("Network.enable", maxTotalBufferSize=_KEPT, maxResourceBufferSize=_KEPT)
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> Any:
        return self._devtools.call(method, self._session, **parameters)

    def load(self, url: str) -> None:
        """Go to this address, and return when all that it consists of is there."""
        self._load("Page.navigate", url=url)

    def reload(self) -> None:
        """Load the same again, as the user's button does."""
        self._load("Page.reload")

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript, or of its promise."""
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def happened(self, method: str) -> list[dict[str, Any]]:
        """Return the parameters of such events, oldest first."""
        return [
            event["params"]
            for event in self._devtools.events[self._began :]
            if event["method"] == method and event.get("sessionId") == self._session
        ]

    def body(self, request: str) -> bytes:
        """Return the body of a response, decompressed, by the ID of its request."""
        found = self.call("Network.getResponseBody", requestId=request)
        text: str = found["body"]
        return base64.b64decode(text) if found["base64Encoded"] else text.encode()

    def complaints(self) -> list[str]:
        """Return what stands in its console, and what failed."""
        thrown = [one["exceptionDetails"]["text"] for one in self.happened("Runtime.exceptionThrown")]
        logged = [f"{one['entry']['text']} {one['entry'].get('url', '')}" for one in self.happened("Log.entryAdded")]
        printed = [str(one["args"]) for one in self.happened("Runtime.consoleAPICalled")]
        failed = [one["errorText"] for one in self.happened("Network.loadingFailed") if not one["canceled"]]
        return [*thrown, *logged, *printed, *failed]

    def _load(self, method: str, **parameters: object) -> None:
        self._began = len(self._devtools.events)
        self.call(method, **parameters)
        self._devtools.wait(lambda _: bool(self.happened("Page.loadEventFired")), "the page is loaded")
