"""NumPy's floating-point warnings, off for the length of one operation.

PyTorch divides by zero without a word, and so do we; a user's own NumPy code keeps its warnings.  The
public ``np.errstate`` takes longer than a small operation does, so its context variable is set directly
where NumPy has it.
"""

from __future__ import annotations

from itertools import repeat
from typing import Any

import numpy as np

set_errors: Any
reset_errors: Any
QUIET: Any

try:
    from numpy._core.umath import _extobj_contextvar as _variable

    with np.errstate(all="ignore"):
        QUIET = _variable.get()
    set_errors, reset_errors = _variable.set, _variable.reset
except ImportError:  # another NumPy: the same through its public door
    QUIET = {"all": "ignore"}

    def set_errors(quiet: dict[str, Any]) -> Any:
        return np.seterr(**quiet)

    def reset_errors(old: dict[str, Any]) -> None:
        np.seterr(**old)


# ``for token in quietly:``, then ``try`` and ``finally: reset_errors(token)``, then ``break``.  A call would do as well,
# but after a call Python looks for signals: Ctrl-C between it and the ``try`` would leave the warnings off for good.
quietly = map(set_errors, repeat(QUIET))
