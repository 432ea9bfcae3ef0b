"""Where the page listens, and how long it waits for a request: on this machine only, and not for long."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from typing import Any, Final

from ..extras import load
from .guard import HEADERS, MAX_LINE, App

TRIES: Final = 20  # ports, one after the other
RECEIVING: Final = 10.0  # seconds for a request to arrive
ANSWERING: Final = 60.0  # seconds for the answer to be computed, waited for and taken
CONNECTIONS: Final = 200  # open at once, most of them perhaps silent


def listen(port: int, *, search: bool) -> list[socket.socket]:
    """Sockets on 127.0.0.1 and, where there is one, ::1, on ``port`` or, with ``search``, on the next that is free.

    Port 0 is any. Raises OSError.
    """
    last = min(port + TRIES - 1, 65535) if search and port else port
    while True:
        try:
            return _pair(port)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES) or port == last:
                raise
            port += 1


def _pair(port: int) -> list[socket.socket]:
    first = _socket(socket.AF_INET, "127.0.0.1", port)
    try:
        return [first, _socket(socket.AF_INET6, "::1", first.getsockname()[1])]
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES) and port:  # somebody else's: "localhost" would lead there
            first.close()
            raise
        return [first]


def _socket(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere it means that two may listen on one port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(128)
    except OSError:
        made.close()
        raise
    return made


def run(app: App, sockets: list[socket.socket]) -> None:
    """Serve until Ctrl-C, or until the process is told to end.

    Raises MissingExtra without uvicorn.
    """
    uvicorn = load("uvicorn", "web", "chainrule serve")
    config = uvicorn.Config(
        app, http=_protocol(), ws="none", lifespan="on", log_level="error", access_log=False, server_header=False,
        proxy_headers=False, timeout_graceful_shutdown=1, h11_max_incomplete_event_size=2 * MAX_LINE,
    )  # fmt: skip
    try:
        uvicorn.Server(config).run(sockets=sockets)
    except KeyboardInterrupt:
        pass
    finally:
        for one in sockets:
            one.close()


def _protocol() -> Any:
    """uvicorn's reading of HTTP, with a limit on time and a word for each refusal."""
    h11 = load("h11", "web", "chainrule serve")
    base = load("uvicorn.protocols.http.h11_impl", "web", "chainrule serve").H11Protocol

    class Protocol(base):  # type: ignore[misc, valid-type]  # uvicorn is imported when it is needed
        limit: asyncio.TimerHandle | None = None
        received = False

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > CONNECTIONS:
                transport.abort()
            self.limit = self.loop.call_later(RECEIVING, transport.abort)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is not None and not self.cycle.more_body and not self.received and self.limit is not None:
                self.received = True
                self.limit.cancel()
                self.limit = self.loop.call_later(ANSWERING, self.transport.abort)

        def eof_received(self) -> bool:
            """Whether to stay: one that has asked and only listens now gets its answer."""
            return self.received

        def connection_lost(self, exc: Exception | None) -> None:
            if self.limit is not None:
                self.limit.cancel()
            super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:
            """Refuse what is no HTTP, in words that do not depend on how far the reading came."""
            error = sys.exc_info()[1]
            status = getattr(error, "error_status_hint", 400)
            if isinstance(error, h11.RemoteProtocolError) and "Host" in str(error):
                status = 403  # none, or two of them
            if self.cycle is None or self.cycle.response_complete:
                lines = [b"HTTP/1.1 %d Refused" % status, *(name + b": " + value for name, value in HEADERS)]
                self.transport.write(b"\r\n".join([*lines, b"content-length: 0", b"", b""]))
            self.transport.close()

    return Protocol
