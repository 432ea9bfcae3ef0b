"""NumPy's floating-point warnings: off within our operations, as the user set them everywhere else."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest

import chainrule as torch

LOUD = """
for x in (torch.tensor([0.0, 1e38]), torch.tensor(0.0), torch.tensor([[0.0, 1e38]])):
    x.requires_grad_()
    for y in (1 / x, x / 0, x.log(), x * 1e38 * 1e38, (x * 1e30).exp(), x.sqrt() / x, (x - x) / x):
        y.backward(torch.full(y.shape, 3e38), retain_graph=True)
        torch.autograd.grad(y, x, torch.ones(y.shape), create_graph=True)
    torch.optim.SGD([x], lr=1e38).step()
"""


@pytest.mark.parametrize("setting", ["warn", "raise", "ignore", "print"])
def test_our_operations_are_silent(setting: str, capfd: pytest.CaptureFixture[str]) -> None:
    with np.errstate(all=setting), warnings.catch_warnings():
        warnings.simplefilter("error")
        before = np.geterr()
        exec(LOUD, {"torch": torch})
        assert np.geterr() == before
    assert capfd.readouterr() == ("", "")


def test_the_users_numpy_is_as_loud_as_before() -> None:
    torch.ones(2) / 0
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        np.ones(2) / 0
    with np.errstate(divide="raise"):
        torch.ones(2) / 0
        with pytest.raises(FloatingPointError):
            np.ones(2) / 0


def test_an_operation_that_fails_puts_them_back() -> None:
    before = np.geterr()
    for action in (lambda: torch.ones(2) + torch.ones(3), lambda: torch.ones(2, 2) @ torch.ones(3)):
        with pytest.raises(RuntimeError):
            action()
        assert np.geterr() == before


def test_through_numpys_public_door() -> None:
    """Where NumPy keeps its error state elsewhere, it is switched as its documentation says."""
    program = f"""
import warnings
import numpy as np
from numpy._core import umath
del umath._extobj_contextvar
import chainrule as torch
from chainrule import quiet
assert quiet.set_errors.__module__ == "chainrule.quiet"
warnings.simplefilter("error")
before = np.geterr()
{LOUD}
assert np.geterr() == before
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
