"""Tracebacks as far as the user's own lines go."""

from __future__ import annotations

from types import FrameType, TracebackType


def trim(error: BaseException | None) -> None:
    """Take chainrule's own lines, and the import system's, out of an error's traceback and its causes'."""
    seen: set[int] = set()
    pending = [error]
    while pending:
        error = pending.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        error.__traceback__ = _without_internals(error.__traceback__)
        pending += [error.__cause__, error.__context__]


def _without_internals(trace: TracebackType | None) -> TracebackType | None:
    shown = []
    while trace is not None:
        if not _is_internal(trace.tb_frame):
            shown.append(trace)
        trace = trace.tb_next
    for entry in reversed(shown):
        trace = TracebackType(trace, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return trace


def _is_internal(frame: FrameType | None) -> bool:
    while frame is not None and "__name__" not in frame.f_globals:  # code made from text belongs to who called it
        frame = frame.f_back
    return frame is not None and frame.f_globals["__name__"].partition(".")[0] in ("chainrule", "importlib")
