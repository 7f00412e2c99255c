"""Chromium without a window, spoken to in its DevTools protocol over pipes: JSON messages that end in a zero byte."""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

EXECUTABLE = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_FLAGS = [
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe"),
    *("--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-component-update"),
]
_KEYS = {"Enter": ("\r", 13), "Escape": ("", 27), "Tab": ("", 9), " ": (" ", 32)}
_KEYS |= {f"Arrow{name}": ("", code) for name, code in (("Left", 37), ("Up", 38), ("Right", 39), ("Down", 40))}

# A function to be called after the fork would do this as well, but JAX warns of forks.
_PLACE = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)


class Page:
    """One page; what it requested, printed and threw is kept."""

    def __init__(self, profile: Path, *, width: int = 1200, height: int = 900) -> None:
        down, self._write = os.pipe()
        self._read, up = os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (down, up)]  # Away from 3 and 4, where Chromium looks.
        place = [sys.executable, "-c", _PLACE, *map(str, ends)]
        command = [str(EXECUTABLE), *_FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"]
        quiet: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
        }
        self._process = subprocess.Popen([*place, *command, "about:blank"], pass_fds=ends, **quiet)
        for end in (down, up, *ends):
            os.close(end)
        self._number, self._session, self._buffer = 0, "", b""
        self.events: deque[dict[str, Any]] = deque()
        targets = self.call("Target.getTargets")["targetInfos"]
        target = next(each["targetId"] for each in targets if each["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.resize(width, height)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session = ""
        self._send("Browser.close")
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for end in (self._read, self._write):
            os.close(end)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command; events that come meanwhile are kept."""
        number = self._send(method, **parameters)
        while True:
            message = self._receive()
            if message.get("id") == number:
                assert "error" not in message, message["error"]
                return message["result"]
            self.events.append(message)

    def open(self, page: Path | str) -> None:
        """Loads a file, or what is at an address, and waits for the end of it."""
        self.events.clear()
        self.call("Page.navigate", url=page.as_uri() if isinstance(page, Path) else page)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._receive())

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited where it is a promise."""
        given = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        found = self.call("Runtime.evaluate", **given)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, expression: str, seconds: float = 30) -> None:
        """Waits until an expression is true."""
        promise = f"""new Promise((done, fail) => {{
            const started = performance.now();
            (function look() {{
                if ({expression}) done(true);
                else if (performance.now() - started > {1000 * seconds}) fail(new Error("never true"));
                else setTimeout(look, 20);
            }})();
        }})"""
        self.run(promise)

    def press(self, key: str) -> None:
        """A key, by the name that the page sees."""
        text, code = _KEYS.get(key, (key, ord(key[0].upper())))
        pressed = {"key": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **pressed)
        self.call("Input.dispatchKeyEvent", type="keyUp", **pressed)

    def resize(self, width: int, height: int) -> None:
        """Sets the size of what is seen."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def brightness(self, scheme: str, media: str = "screen") -> float:
        """Of the page's ground, 0 … 1, where the reader prefers this colour scheme; the text must stand out from it."""
        preferred = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=media, features=preferred)
        ground, text = (
            sum(self.run(f"getComputedStyle(document.body).{name}.match(/\\d+/g).slice(0, 3).map(Number)")) / 765
            for name in ("backgroundColor", "color")
        )
        self.call("Emulation.setEmulatedMedia", media="", features=[])
        assert abs(ground - text) > 0.6
        return ground

    def screenshot(self, path: Path) -> None:
        """Writes what is seen as a PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def requested(self) -> list[str]:
        """The addresses of all requests, those that the page's policy refused among them."""
        sent = (event["params"] for event in self.events if event["method"] == "Network.requestWillBeSent")
        return [each["request"]["url"] for each in sent]

    def complaints(self) -> list[str]:
        """Script errors, warnings and what a policy refused."""
        kinds = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        return [json.dumps(event["params"])[:500] for event in self.events if event["method"] in kinds]

    def wait_for(self, method: str) -> dict[str, Any]:
        """What the first event of this kind says; waits until there is one."""
        while True:
            for event in self.events:
                if event["method"] == method:
                    found: dict[str, Any] = event["params"]
                    return found
            self.events.append(self._receive())

    def _send(self, method: str, **parameters: Any) -> int:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        return self._number

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            read = os.read(self._read, 1 << 20)
            if not read:
                raise EOFError("Chromium ended")
            self._buffer += read
        message, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found
