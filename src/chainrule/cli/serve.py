"""``chainrule serve``: a local page on which to type a function and see its derivative explained."""

from __future__ import annotations

import argparse
import threading
import webbrowser
from collections.abc import Sequence
from typing import Final

from ..errors import MissingExtra
from ..language import LANGUAGES, known
from . import Parser

PORT: Final = 8765
EPILOG: Final = """\
examples:
  chainrule serve
  chainrule serve --port 9000 --no-browser --lang zh

The page is for this machine only: it listens on 127.0.0.1 and ::1. Ctrl-C ends it. Without --port the next free port
from 8765 on is taken. The exit status is 0, or 2 if it cannot listen.
"""


def main(argv: Sequence[str]) -> int:
    """Serve until Ctrl-C; the exit status."""
    parser = Parser(prog="chainrule serve", allow_abbrev=False, description="Open a page that explains derivatives.",
                    epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--port", type=int, metavar="N", help=f"listen on this port, 0 for any ({PORT} or the next)")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    parser.add_argument("--lang", choices=LANGUAGES, help="the language at first (the locale's)")
    chosen = parser.parse_args(list(argv))
    if chosen.port is not None and not 0 <= chosen.port <= 65535:
        parser.error(f"--port {chosen.port} is no port: from 0 to 65535")
    from ..web.app import make_app
    from ..web.server import listen, run

    try:
        app = make_app(known(chosen.lang))
        sockets = listen(PORT if chosen.port is None else chosen.port, search=chosen.port is None)
    except MissingExtra as error:
        parser.error(str(error))
    except OSError as error:
        parser.error(f"cannot listen on port {chosen.port or PORT}: {error.strerror}; choose another with --port")
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/"
    print(f"chainrule: {url} (Ctrl-C ends it)", flush=True)
    if not chosen.no_browser:
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    run(app, sockets)
    return 0
