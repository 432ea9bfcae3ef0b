"""Commands at the command line, for the tests of them."""

from __future__ import annotations

import pytest

from chainrule.cli import main


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What the command says when it refuses its arguments: nothing to a program, and status 2."""
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    found = capsys.readouterr()
    assert not found.out
    return found.err
