"""A process that computes answers: requests come in as lines of JSON, answers go out part by part.

It is killed by who started it when time is up, so it owns nothing that could be left half done.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Mapping
from typing import Any, Final

MEMORY: Final = 1 << 30  # bytes of address space, Python, NumPy and SymPy included
ORPHANED: Final = 20  # seconds after which it ends itself, should nobody be there any more to end it


def main() -> None:
    """Answer until the input ends."""
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stdout = sys.stderr  # what libraries print is no answer

    def write(part: Mapping[str, Any]) -> None:
        print(json.dumps(part, allow_nan=False), file=lines, flush=True)

    warnings.simplefilter("ignore")
    _limit_memory()
    from ..language import set_language
    from .answer import answer

    for _ in answer({"formula": "x*sin(x)/2", "at": {}}):  # imports what the first answer needs
        pass
    write({"done": True})
    for line in sys.stdin:
        _end_in(ORPHANED)
        try:
            request = json.loads(line)
            set_language(request["lang"])
            for part in answer(request):
                write(part)
        except MemoryError:
            write({"failed": "memory", "done": True})
            return  # what is left of the memory is in pieces
        except RecursionError:
            write({"failed": "depth"})
        except Exception:  # a mistake in chainrule: the page goes on, and the terminal has the traceback
            traceback.print_exc()
            write({"failed": "mistake"})
        write({"done": True})
        _end_in(0)


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY if hard == resource.RLIM_INFINITY else min(MEMORY, hard), hard))


def _end_in(seconds: int) -> None:
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)
