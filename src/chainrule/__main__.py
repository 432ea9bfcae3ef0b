"""``python -m chainrule``, the same as ``chainrule``."""

from __future__ import annotations

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
