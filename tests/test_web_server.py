"""The local page's server: whom it answers, how much at once, and that nothing makes it stumble."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from chainrule.cli import main
from chainrule.cli import serve as serve_command
from chainrule.web import app, guard, server

QUESTION = {"formula": "x**2*sin(x)", "at": {"x": "2"}, "lang": "en"}
JSON = (("content-type", "application/json"),)
posix = pytest.mark.skipif(os.name != "posix", reason="of POSIX")


class Served:
    """``chainrule serve`` in a process of its own."""

    def __init__(self, *words: str) -> None:
        line = [sys.executable, "-m", "chainrule", "serve", "--no-browser", *words]
        self.process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
        assert self.process.stdout is not None
        self.greeting = self.process.stdout.readline()
        self.port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", self.greeting)[1])  # type: ignore[index]

    def raw(self, data: bytes, *, wait: float = 30, end: bool = False) -> bytes:
        """What comes back for some bytes, until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait) as wire:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                wire.sendall(data)
                if end:
                    wire.shutdown(socket.SHUT_WR)
            found = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := wire.recv(1 << 16):
                    found += piece
            return found

    def get(self, path: str = "/", *headers: tuple[str, str], method: str = "GET", host: str | None = "", body: bytes = b"",
            length: bool = True) -> tuple[int, dict[str, str], bytes]:  # fmt: skip
        """The status, headers and body of an answer."""
        lines = [f"{method} {path} HTTP/1.1"]
        if host is not None:
            lines.append(f"Host: {host or f'127.0.0.1:{self.port}'}")
        lines += [f"{k}: {v}" for k, v in headers]
        if body and length:
            lines.append(f"Content-Length: {len(body)}")
        return parsed(self.raw("\r\n".join([*lines, "", ""]).encode("latin-1") + body))

    def ask(self, question: Any) -> dict[str, Any]:
        status, _, body = self.get("/answer", *JSON, method="POST", body=json.dumps(question).encode())
        assert status == 200, body
        found: dict[str, Any] = json.loads(body)
        return found

    def stop(self) -> tuple[int, str, str]:
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


def parsed(data: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    status = int(first.split()[1]) if first else 0
    return status, {k.lower(): v for k, _, v in (line.partition(": ") for line in rest)}, body


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    one = Served("--port", "0", "--lang", "zh")
    try:
        one.ask(QUESTION)  # when its workers are ready
        yield one
    finally:
        status, out, err = one.stop()
    assert (status, out, err) == (0, "", ""), "not a word about anything that these tests did"


# --- what it serves


def test_the_page_and_its_files(served: Served) -> None:
    status, headers, body = served.get("/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    page = body.decode()
    assert '<html lang="zh"' in page
    for path in re.findall(r'(?:href|src)="(/[^"]+)"', page):
        assert served.get(path)[0] == 200, path
    files = {path: served.get(path)[2].decode() for path in re.findall(r'(?:href|src)="(/[^"]+\.(?:css|js))"', page)}
    scripts = dict(files)
    while missing := {f"/{n}" for t in scripts.values() for n in re.findall(r'from "\./([^"]+)"', t)} - set(scripts):
        scripts |= {path: served.get(path)[2].decode() for path in missing}
    for name, text in {**scripts, "page": page}.items():
        foreign = set(re.findall(r"(?:https?:)?//[a-z][\w.-]+\.\w+[^\s\"']*", text)) - {"http://www.w3.org/2000/svg"}
        assert not foreign, f"{name} has an address outside this machine"


def test_an_answer(served: Served) -> None:
    found = served.ask(QUESTION)
    assert found["derivatives"][0]["value"] == pytest.approx(1.9726023611141572)
    assert served.ask({**QUESTION, "formula": "2x"})["error"]["caret"] == "2x\n ^"


def test_every_answer_bears_the_policy(served: Served) -> None:
    for status, headers, _ in (served.get("/"), served.get("/nowhere"), served.get("/", host="evil.example"),
                               served.get("/answer")):  # fmt: skip
        assert status in (200, 403, 404, 405)
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert not [name for name in headers if name.startswith("access-control")]
        assert "server" not in headers


# --- whom it answers


HOSTS = ["", "evil.example", "127.0.0.1.example", "127.0.0.1.evil.example:80", "localhost.evil.example", "0.0.0.0", "[::]",
         "127.0.0.2", "2130706433", "0x7f.1", "127.1", "[::1].example", "[::1", "::1", "127.0.0.1:80:80", "127.0.0.1:x",
         "127.0.0.1:", "user@127.0.0.1", "127.0.0.1@evil.example", "localhost\x0b", "127.0.0.1, evil.example"]  # fmt: skip


def test_foreign_hosts_are_refused(served: Served) -> None:
    for host in HOSTS:
        status, _, body = parsed(served.raw(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1")))
        assert status == 403 or (status == 400 and not host.isprintable()), (host, status)
        assert b"<html" not in body
    assert served.get("/", host=None)[0] == 403
    assert served.get("/", ("Host", "evil.example"))[0] == 403, "two of them"
    assert parsed(served.raw(b"GET / HTTP/1.0\r\n\r\n"))[0] == 403
    for host in ("localhost", "LOCALHOST:9", "[::1]:80", "127.0.0.1:1"):
        assert served.get("/", host=host)[0] == 200, host


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "https://{host}"}, {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://{host}.evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    ],
    ids=str,
)  # fmt: skip
def test_foreign_pages_are_refused(served: Served, headers: dict[str, str]) -> None:
    given = [(k, v.format(host=f"127.0.0.1:{served.port}")) for k, v in headers.items()]
    assert served.get("/", *given)[0] == 403
    body = json.dumps(QUESTION).encode()
    assert served.get("/answer", *JSON, *given, method="POST", body=body)[0] == 403
    own = [("Origin", f"http://127.0.0.1:{served.port}"), ("Sec-Fetch-Site", "same-origin")]
    assert served.get("/answer", *JSON, *own, method="POST", body=body)[0] == 200


def test_a_link_from_another_site_opens_the_page_and_no_more(served: Served) -> None:
    link = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")]
    assert served.get("/", *link)[0] == 200
    form = served.get("/answer", *JSON, *link, method="POST", body=json.dumps(QUESTION).encode())
    assert form[0] == 403


# --- how much


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        ("POST", "/answer", (("content-type", "text/plain"),), b"{}", 415), ("POST", "/answer", (), b"{}", 415),
        ("POST", "/answer", (("content-type", "application/x-www-form-urlencoded"),), b"a=b", 415),
        ("POST", "/answer", JSON, b"{", 400), ("POST", "/answer", JSON, b"[]", 400), ("POST", "/answer", JSON, b"\xff", 400),
        ("POST", "/answer", JSON, b"[" * 60_000, 400), ("POST", "/answer", JSON, b'{"formula": 1}', 400),
        ("POST", "/answer", JSON, b'{"formula": "x", "at": {"x": 1}}', 400),
        ("POST", "/answer", JSON, b'{"formula": "x", "lang": "fr"}', 400),
        ("POST", "/answer", JSON, b'{"formula": "x", "range": [1]}', 400),
        ("POST", "/answer", JSON, b'{"formula": "x", "range": [true, 1]}', 400),
        ("POST", "/answer", JSON, b'{"formula": "x", "brief": 1}', 400), ("POST", "/answer", JSON, b'{"formula": "x"}', 200),
        ("POST", "/answer", JSON, b'{"formula": "x", "range": [-Infinity, NaN]}', 200),
        ("POST", "/answer", (*JSON, ("Content-Length", "99999999999")), b"", 413),
        ("POST", "/answer", (*JSON, ("Content-Length", "65537")), b"", 413),
        ("POST", "/", JSON, b"{}", 405), ("PUT", "/answer", JSON, b"{}", 405), ("DELETE", "/page.js", (), b"", 405),
        ("GET", "/../../etc/passwd", (), b"", 404), ("GET", "/%2e%2e/%2e%2e/etc/passwd", (), b"", 404),
        ("GET", "/static/page.js", (), b"", 404), ("GET", "//etc/passwd", (), b"", 404), ("GET", "/page.js%00", (), b"", 404),
        ("GET", "/page.css/", (), b"", 404), ("GET", "/" + "a" * 9000, (), b"", 431),
        ("GET", "/", (("X", "a" * 9000),), b"", 431), ("GET", "/", (("X", "a" * 100_000),), b"", 431),
        ("GET", "/", tuple((f"X{i}", "1") for i in range(101)), b"", 431), ("OPTIONS", "/answer", (), b"", 405),
        ("TRACE", "/", (), b"", 405), ("HEAD", "/", (), b"", 200),
    ],
)  # fmt: skip
def test_limits(served: Served, method: str, path: str, headers: Any, body: bytes, status: int) -> None:
    assert served.get(path, *headers, method=method, body=body)[0] == status


def test_a_body_that_lies_about_its_length_is_cut_off(served: Served) -> None:
    chunk = b"%x\r\n" % 8192 + b" " * 8192 + b"\r\n"
    head = f"POST /answer HTTP/1.1\r\nHost: localhost:{served.port}\r\nContent-Type: application/json\r\n"
    found = served.raw(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 9 + b"0\r\n\r\n")
    assert parsed(found)[0] == 413


def test_sixteen_at_once_and_no_more() -> None:
    running, refused = [], []

    class Slow:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            running.append(await asyncio.sleep(0.05, "done"))
            await guard.respond(send, 200, "text/plain", b"")

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start" and message["status"] == 503:
            refused.append(message)

    async def all_of_them() -> None:
        guarded = guard.Guard(Slow())
        scope = {
            "type": "http",
            "method": "GET",
            "headers": [(b"host", b"localhost")],
            "query_string": b"",
            "raw_path": b"/",
        }
        await asyncio.gather(*(guarded(dict(scope), receive, send) for _ in range(20)))
        await guarded(dict(scope), receive, send)

    async def receive() -> Any:
        raise AssertionError

    import asyncio

    asyncio.run(all_of_them())
    assert (len(running), len(refused)) == (17, 4)


# --- what comes over the wire


def test_a_thousand_mutated_requests(served: Served) -> None:
    generator = random.Random(7)
    body = json.dumps(QUESTION).encode()
    whole = (f"POST /answer HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nContent-Type: application/json\r\n"
             f"Origin: http://127.0.0.1:{served.port}\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body  # fmt: skip
    seen: dict[int, int] = {}
    for _ in range(1000):
        data = bytearray(whole)
        for _ in range(generator.randrange(1, 4)):
            place = generator.randrange(len(data))
            kind = generator.randrange(4)
            if kind == 0:
                data[place] = generator.randrange(256)
            elif kind == 1:
                del data[place : place + generator.randrange(1, 20)]
            elif kind == 2:
                data[place:place] = bytes(generator.choices(b'\r\n :;{}"\0\xffA9', k=generator.randrange(1, 9)))
            else:
                data = data[:place] or data
        status = parsed(served.raw(bytes(data), end=True))[0]
        seen[status] = seen.get(status, 0) + 1
    assert set(seen) <= {0, 200, 400, 403, 404, 405, 413, 415, 431}, seen
    assert {200, 400, 403, 415} <= set(seen), seen
    assert served.ask(QUESTION)["derivatives"]


def test_silent_connections_disturb_nobody(served: Served) -> None:
    silent = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(50)]
    try:
        for i, wire in enumerate(silent):
            wire.sendall(b"POST /answer HTTP/1.1\r\nHost: localhost\r\n"[: i + 1])
        for _ in range(5):
            assert served.get("/")[0] == 200
            assert served.ask(QUESTION)["derivatives"]
        ends = time.monotonic() + server.RECEIVING + 20
        for wire in silent:
            wire.settimeout(max(0.1, ends - time.monotonic()))
            with contextlib.suppress(ConnectionResetError):
                assert wire.recv(100) == b"", "hung up on after a while"
    finally:
        for wire in silent:
            wire.close()


def test_many_at_once_are_answered_or_told_to_wait(served: Served) -> None:
    found: list[int] = []

    def one(n: int) -> None:
        body = json.dumps({**QUESTION, "at": {"x": str(n)}}).encode()
        found.append(served.get("/answer", *JSON, method="POST", body=body)[0])

    threads = [threading.Thread(target=one, args=(n,)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) <= {200, 503}
    assert 200 in found
    assert served.ask(QUESTION)["derivatives"]


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="of Linux")
def test_it_listens_on_this_machine_only(served: Served) -> None:
    found = set()
    for file in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(file).read_text().splitlines()[1:]:
                _, local, _, state, *_ = line.split()
                address, port = local.split(":")
                if state == "0A" and int(port, 16) == served.port:
                    found.add(address)
    assert "0100007F" in found
    assert found <= {"0100007F", "00000000000000000000000001000000"}


# --- the command


@posix
def test_interrupted_it_ends_cleanly_and_leaves_no_process() -> None:
    one = Served("--port", "0")
    one.ask(QUESTION)
    children = [*Path(f"/proc/{one.process.pid}/task").glob("*/children")]
    pids = [int(pid) for file in children for pid in file.read_text().split()]
    assert one.greeting == f"chainrule: http://127.0.0.1:{one.port}/ (Ctrl-C ends it)\n"
    assert one.stop() == (0, "", "")
    assert len(pids) == (2 if children else 0), "its workers, where the system tells"
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit) as end:
            main(["serve", "--port", str(port), "--no-browser"])
        assert end.value.code == 2
        assert re.search(rf"cannot listen on port {port}: .*; choose another with --port", capsys.readouterr().err)
        sockets = server.listen(port, search=True)
        try:
            assert port < sockets[0].getsockname()[1] < port + server.TRIES
            assert {s.getsockname()[0] for s in sockets} <= {"127.0.0.1", "::1"}
        finally:
            for one in sockets:
                one.close()


@pytest.mark.parametrize("port", ["-1", "65536", "x"])
def test_no_port(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["serve", "--port", port])
    assert end.value.code == 2
    assert "--port" in capsys.readouterr().err


def test_without_the_extra_it_names_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    with pytest.raises(SystemExit) as end:
        main(["serve", "--no-browser"])
    assert end.value.code == 2
    assert "pip install 'chainrule[web]'" in capsys.readouterr().err


def test_it_opens_a_browser(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    opened = threading.Event()
    monkeypatch.setattr(serve_command.webbrowser, "open", lambda url: opened.set())
    monkeypatch.setattr(server, "run", lambda made, sockets: [s.close() for s in sockets])
    assert main(["serve", "--port", "0"]) == 0
    assert opened.wait(10)
    assert callable(app.make_app("zh"))
    assert "http://127.0.0.1:" in capsys.readouterr().out
