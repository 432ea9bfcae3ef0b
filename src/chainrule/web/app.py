"""The page's addresses: its few files, and one for answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from typing import Any, Final

from ..explain.picture import Picture
from ..extras import load
from ..language import LANGUAGES, Language
from .guard import MAX_BODY, App, Guard, Receive, Scope, Send, body_of, plain, respond
from .workers import Busy, Workers

PURPOSE: Final = "chainrule serve"
_TYPES: Final = {"css": "text/css", "js": "text/javascript", "html": "text/html", "svg": "image/svg+xml"}
_FILES: Final = (
    "page.css", "page.js", "words.js", "numbers.js", "drawing.js", "plot.js", "map.js", "icon.svg",
)  # fmt: skip
MOST: Final = 100  # variables


def make_app(language: Language = "en", workers: Workers | None = None) -> App:
    """The application, which starts and ends its processes with the server that runs it.

    Raises MissingExtra without Starlette.
    """
    starlette = load("starlette.applications", "web", PURPOSE).Starlette
    route = load("starlette.routing", "web", PURPOSE).Route
    response = load("starlette.responses", "web", PURPOSE).Response

    def file(name: str, text: str) -> Any:
        kind = f"{_TYPES[name.rpartition('.')[2]]}; charset=utf-8"

        async def get(request: Any) -> Any:
            return response(text, media_type=kind)

        return route("/" if name == "index.html" else f"/{name}", get)

    static = resources.files(__package__) / "static"
    page = (static / "index.html").read_text(encoding="utf-8").replace('<html lang="en"', f'<html lang="{language}"')
    routes = [file(name, (static / name).read_text(encoding="utf-8")) for name in _FILES]
    routes += [file("index.html", page), file("picture.css", Picture.style()), route("/answer", _Answer())]

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        app.state.workers = workers or Workers()
        app.state.workers.start()
        yield
        await app.state.workers.stop()

    application = starlette(routes=routes, lifespan=lifespan)
    application.router.redirect_slashes = False
    return Guard(application)


class _Answer:
    """``POST /answer``: JSON in, JSON out."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a question, or say what is wrong with the request."""
        kinds = [v.partition(b";")[0].strip().lower() for k, v in scope["headers"] if k.lower() == b"content-type"]
        if scope["method"] != "POST":
            await plain(send, 405, "POST a question here")
        elif kinds != [b"application/json"]:
            await plain(send, 415, "application/json only")
        elif (body := await body_of(receive)) is None:
            await plain(send, 413, f"at most {MAX_BODY} bytes")
        elif (request := _request(body)) is None:
            await plain(send, 400, "not a question: send formula, at, lang, and perhaps by and range")
        else:
            try:
                answer = await scope["app"].state.workers.ask(request)
            except Busy:
                await plain(send, 503, "busy: ask again")
            else:
                await respond(send, 200, "application/json", json.dumps(answer).encode())


def _request(body: bytes) -> dict[str, Any] | None:
    """A question that a worker understands, or None."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(asked, dict):
        return None
    formula, at, by, ends = asked.get("formula"), asked.get("at", {}), asked.get("by"), asked.get("range")
    known = (
        isinstance(formula, str)
        and isinstance(at, dict) and len(at) <= MOST and all(isinstance(v, str) for v in at.values())
        and (by is None or isinstance(by, str))
        and (ends is None or (isinstance(ends, list) and len(ends) == 2 and all(type(v) in (int, float) for v in ends)))
    )  # fmt: skip
    lang, brief = asked.get("lang", "en"), asked.get("brief", False)
    if not known or lang not in LANGUAGES or type(brief) is not bool:
        return None
    try:
        ends = ends and [float(v) for v in ends]
    except OverflowError:
        return None
    return {"formula": formula, "at": at, "lang": lang, "by": by, "range": ends, "brief": brief}
