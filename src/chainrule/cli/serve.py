"""``chainrule serve``: a local page on which to type a function and see its derivative explained."""

from __future__ import annotations

import threading
import webbrowser
from collections.abc import Sequence
from typing import Final

from ..errors import MissingExtra
from ..language import known, said
from . import Parser

PORT: Final = 8765
EXAMPLES: Final = """\
  chainrule serve
  chainrule serve --port 9000 --no-browser --lang zh
"""


def main(argv: Sequence[str]) -> int:
    """Serve until Ctrl-C; the exit status."""
    ends = said("The page is for this machine only: it listens on 127.0.0.1 and ::1. Ctrl-C ends it. Without --port the next free "
                "port\nfrom {port} on is taken. The exit status is 0, or 2 if it cannot listen.",
                "网页只供本机使用：只监听 127.0.0.1 和 ::1。按 Ctrl-C 结束。不写 --port 时取 {port} 起第一个空闲端口。\n"
                "退出码是 0；不能监听时是 2。", port=PORT)  # fmt: skip
    about = said("Open a page that explains derivatives.", "打开讲解导数的网页。")
    parser = Parser("serve", about, f"{said('examples:', '例子：')}\n{EXAMPLES}\n{ends}")
    number = said("listen on this port, 0 for any ({port} or the next)", "监听的端口，0 为任意（{port} 起）", port=PORT)
    parser.add_argument("--port", type=int, metavar="N", help=number)
    parser.add_argument("--no-browser", action="store_true", help=said("only print the address", "只输出网址"))
    parser.add_language()
    chosen = parser.parse(argv)
    if chosen.port is not None and not 0 <= chosen.port <= 65535:
        parser.error(
            said("--port {n} is no port: from 0 to 65535", "--port {n} 不是端口号：应在 0 到 65535 之间", n=chosen.port)
        )
    from ..web.app import make_app
    from ..web.server import listen, run

    try:
        app = make_app(known(chosen.lang))
        sockets = listen(PORT if chosen.port is None else chosen.port, search=chosen.port is None)
    except MissingExtra as error:
        parser.error(str(error))
    except OSError as error:
        parser.error(said("cannot listen on port {n}: {why}; choose another with --port",
                          "不能监听端口 {n}：{why}；请用 --port 换一个",
                          n=chosen.port or PORT, why=error.strerror))  # fmt: skip
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/"
    print(f"chainrule: {url} ({said('Ctrl-C ends it', '按 Ctrl-C 结束')})", flush=True)
    if not chosen.no_browser:
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    run(app, sockets)
    return 0
