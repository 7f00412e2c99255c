"""What every request has to pass, and what every answer says: no other site can read this page or have it do anything.

A site whose name suddenly points to this machine (DNS rebinding) is told by `Host`, one that posts here from elsewhere
by `Origin`; browsers let neither be set by a page.
"""

from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer that does not say otherwise."""


def allowed_hosts(names: Iterable[str], port: int) -> frozenset[str]:
    """What `Host` may be; browsers leave the port out where it is 80."""
    hosts = {f"{name.lower()}:{port}" for name in names}
    return frozenset(hosts | {name.lower() for name in names} if port == 80 else hosts)


class Guard:
    """Refuses requests with a foreign Host, and with a foreign or no Origin where they may change something."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on or answers 403 in one line."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if scope["type"] != "http":  # There are no sockets here.
            return
        problem = self._problem(scope["method"], Headers(scope=scope))
        app = PlainTextResponse(f"{problem}\n", 403) if problem else self._app
        await app(scope, receive, send_with_headers)

    def _problem(self, method: str, headers: Headers) -> str:
        hosts = [host.lower() for host in headers.getlist("host")]
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return "this page is not served under this name; use the address that splice-jax serve printed"
        if method not in ("GET", "HEAD") and headers.getlist("origin") != [f"http://{hosts[0]}"]:
            return "only this page itself may ask for that"
        return ""
