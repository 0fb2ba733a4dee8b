"""A real browser for tests: Chromium without a window, spoken to with the DevTools protocol over two pipes.

No port is opened and nothing but the pipes connects it to the test. Names resolve to nothing, so a page could reach no host but
this one, and every request a page makes is on record.
"""

import fcntl
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.helpers.debian import require

PATIENCE_S = 120.0

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--remote-debugging-pipe",
)
_START = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execvp(sys.argv[3], sys.argv[3:])"
"""The browser reads commands from descriptor 3 and answers on 4."""

_FREE_DESCRIPTOR = 16
"""Above those two, wherever the pipes are made."""

Json = Any


class BrowserError(AssertionError):
    """The browser refused a command, or a script in a page threw."""


class Browser:
    """A running browser."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = commands
        self._answers = answers
        self._number = 0
        self._unread = b""
        self.events: list[dict[str, Json]] = []

    def call(self, method: str, session: str | None = None, **params: Json) -> dict[str, Json]:
        """Send one command and return its result; what happens meanwhile is kept in `events`."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params, **({"sessionId": session} if session else {})}
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._commands, data) :]
        while True:
            answer = self._read()
            if answer.get("id") != self._number:
                self.events.append(answer)
                continue
            if "error" in answer:
                raise BrowserError(f"{method}: {answer['error']['message']}")
            result: dict[str, Json] = answer["result"]
            return result

    def _read(self) -> dict[str, Json]:
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._answers], [], [], PATIENCE_S)
            data = os.read(self._answers, 1 << 20) if ready else b""
            if not data:
                raise BrowserError("the browser is gone or does not answer")
            self._unread += data
        message, _, self._unread = self._unread.partition(b"\0")
        parsed: dict[str, Json] = json.loads(message)
        return parsed

    def open(self, file: Path, before: str = "") -> "Page":
        """Open a file in a new tab; `before` is a script that runs ahead of the page's own."""
        return self.visit(file.resolve().as_uri(), before)

    def visit(self, url: str, before: str = "") -> "Page":
        """Open an address in a new tab, as `open` does a file."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, target)
        for domain in ("Page", "Runtime", "Network"):
            page.call(f"{domain}.enable")
        if before:
            page.call("Page.addScriptToEvaluateOnNewDocument", source=before)
        page.call("Page.navigate", url=url)
        return page


class Page:
    """One tab."""

    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self._browser = browser
        self._session = session
        self._target = target

    def call(self, method: str, **params: Json) -> dict[str, Json]:
        """Send a command to this tab."""
        return self._browser.call(method, self._session, **params)

    def evaluate(self, expression: str) -> Json:
        """Return what an expression, or the promise it is, comes to."""
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            thrown = result["exceptionDetails"]
            raise BrowserError(thrown.get("exception", {}).get("description") or thrown["text"])
        return result["result"].get("value")

    def until(self, expression: str) -> Json:
        """Wait until an expression is neither false nor empty and return it."""
        again = f"const look = () => {{ const seen = {expression}; if (seen) done(seen); else setTimeout(look, 5); }}; look();"
        return self.evaluate(f"new Promise((done) => {{ {again} }})")

    def text(self, selector: str) -> str:
        """Return the visible text of an element."""
        found = self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText")
        return str(found)

    def requests(self) -> list[str]:
        """Return every address this tab has asked for."""
        self.evaluate("0")
        return [
            event["params"]["request"]["url"]
            for event in self._browser.events
            if event.get("method") == "Network.requestWillBeSent" and event.get("sessionId") == self._session
        ]

    def close(self) -> None:
        """Close the tab."""
        self._browser.call("Target.closeTarget", targetId=self._target)


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """Run a browser with a profile of its own."""
    program = require("chromium", "chromium")
    (to_read, to_write), (from_read, from_write) = os.pipe(), os.pipe()
    given = [fcntl.fcntl(each, fcntl.F_DUPFD, _FREE_DESCRIPTOR) for each in (to_read, from_write)]
    start = [sys.executable, "-I", "-S", "-c", _START, *map(str, given), program, *_FLAGS, f"--user-data-dir={profile}"]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(start, pass_fds=given, **quiet)  # type: ignore[call-overload]
    for each in (to_read, from_write, *given):
        os.close(each)
    browser = Browser(to_write, from_read)
    try:
        yield browser
    finally:
        try:
            browser.call("Browser.close")
        except (BrowserError, OSError):
            process.kill()
        process.wait(PATIENCE_S)
        os.close(to_write)
        os.close(from_read)
