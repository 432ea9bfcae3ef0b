"""Who may ask, and how much at once: checked before a request reaches the page.

A page in the same browser can send requests to this one, and a name that it controls can be made to lead to
127.0.0.1 (DNS rebinding).  So the Host must be a name of this machine, the Origin, if there is one, this page's, and
a request from another site none, but for opening the page by a link.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HOSTS: Final = frozenset((b"127.0.0.1", b"localhost", b"[::1]"))
MAX_BODY: Final = 64 << 10  # bytes
MAX_LINE: Final = 8 << 10
MAX_HEADERS: Final = 100
AT_ONCE: Final = 16
HEADERS: Final = tuple((name.encode(), value.encode()) for name, value in {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
                               "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin", "cross-origin-resource-policy": "same-origin",
    "connection": "close",  # so that a connection is one request, with one limit on its time
}.items())  # fmt: skip


class Guard:
    """Stands before an application; answers itself where it refuses."""

    def __init__(self, app: App) -> None:
        self.app, self.running = app, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def sealed(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        refusal = _refusal(scope) or ((503, "too many requests at once") if self.running >= AT_ONCE else None)
        if refusal is not None:
            await plain(sealed, *refusal)
            return
        self.running += 1
        try:
            await self.app(scope, receive, sealed)
        finally:
            self.running -= 1


async def respond(send: Send, status: int, kind: str, body: bytes) -> None:
    """Answer a request."""
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def plain(send: Send, status: int, text: str) -> None:
    """Answer with a status and a line of text."""
    await respond(send, status, "text/plain; charset=utf-8", f"{text}\n".encode())


def _refusal(scope: Scope) -> tuple[int, str] | None:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    lines = [scope.get("raw_path", b"") + scope["query_string"], *(name + value for name, value in headers)]
    if len(headers) > MAX_HEADERS or max(map(len, lines)) > MAX_LINE:
        return 431, "too much before the body"
    found: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        found.setdefault(name.lower(), []).append(value)
    hosts = found.get(b"host", [])
    if len(hosts) != 1 or not _of_this_machine(hosts[0]):
        return 403, "this page is for this machine only: open it as http://127.0.0.1 with its port"
    if found.get(b"origin", [b"http://" + hosts[0]]) != [b"http://" + hosts[0]]:
        return 403, "this page answers no other page"
    opened = scope["method"] == "GET" and found.get(b"sec-fetch-mode") == [b"navigate"]  # by a link: shows the page
    if found.get(b"sec-fetch-site", [b"none"]) not in ([b"none"], [b"same-origin"]) and not opened:
        return 403, "this page answers no other page"
    length = found.get(b"content-length", [b"0"])
    if not length[0].isdigit() or len(length[0]) > 9 or int(length[0]) > MAX_BODY:
        return 413, f"at most {MAX_BODY} bytes"
    return None


def _of_this_machine(host: bytes) -> bool:
    """Whether a Host header is a loopback name; the port may be that of a tunnel."""
    name, colon, port = host.rpartition(b":")
    if not colon or host.endswith(b"]"):
        name, port = host, b"1"
    return name.lower() in HOSTS and port.isdigit() and len(port) <= 5


async def body_of(receive: Receive) -> bytes | None:
    """A request's body; None if it is too large, whatever it said its length would be."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":  # the client is gone
            return b""
        body += bytes(message.get("body", b""))
        if len(body) > MAX_BODY:
            return None
        if not message.get("more_body", False):
            return body
