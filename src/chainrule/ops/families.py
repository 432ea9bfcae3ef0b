"""Made by tools/make_stubs.py from the declarations; do not edit.

Families of operations that are imported when one of their names is first used: functions, and methods of Tensor.
"""

FAMILIES: dict[str, tuple[str, str]] = {
    "fft": (
        "",
        "",
    ),
    "rearrange": (
        "roll",
        "roll",
    ),
}
