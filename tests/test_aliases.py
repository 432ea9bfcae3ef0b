"""Other names of operations: the same function, method and write in place."""

from __future__ import annotations

import chainrule as torch
from chainrule.ops.aliases import _SAME


def test_each_alias_is_its_operation() -> None:
    x = torch.tensor([0.5, 0.25, 1.0])
    for alias, name in _SAME.items():
        more = () if name in ("abs", "neg") or name.startswith("a") else (x,)
        if name in ("gt", "ge", "lt", "le", "ne", "div", "mul", "sub"):
            more = (torch.tensor(0.5),)
        wanted = getattr(torch, name)(x, *more)
        assert torch.equal(getattr(torch, alias)(x, *more).nan_to_num(9.0), wanted.nan_to_num(9.0)), alias
        assert torch.equal(getattr(x, alias)(*more).nan_to_num(9.0), wanted.nan_to_num(9.0)), alias
        written = x.clone()
        assert getattr(written, f"{alias}_")(*more) is written
        assert torch.equal(written.nan_to_num(9.0), wanted.to(x.dtype).nan_to_num(9.0)), alias
    assert torch.equal(torch.ger(x, x), torch.outer(x, x))
    assert torch.concatenate([x, x]).shape == (6,)
    assert torch.moveaxis(torch.ones(2, 3), 0, 1).shape == (3, 2)
