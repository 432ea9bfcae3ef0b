"""The same line in both libraries: the same numbers, memory order and state of the generator, or the same error."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")

import chainrule
from chainrule.ops.random import dropout_mask
from streams import CASES, outcome
from test_sampling import DRAWS

pytestmark = [
    pytest.mark.skipif(
        torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"),
        reason="without AVX2 PyTorch does not fuse multiply-adds, and differs in the last bits",
    ),
    pytest.mark.usefixtures("own_generator"),
]


@pytest.mark.parametrize("kind", sorted({name.partition(" ")[0] for name in CASES}))
def test_draws(kind: str) -> None:
    for name, case in CASES.items():
        if name.partition(" ")[0] == kind:
            assert outcome(chainrule, case) == outcome(torch, case), name


def test_a_leaf_is_not_written_to() -> None:
    for m in (chainrule, torch):
        with pytest.raises(RuntimeError, match=r"a leaf Variable that requires grad is being used"):
            m.ones(3, requires_grad=True).uniform_()


def test_dropout_is_the_mask_times_the_input() -> None:
    for shape in [(7,), (40, 30)]:
        for p in (0.1, 0.5, 0.7):
            for at in (lambda x: x, lambda x: x.movedim(0, -1)):
                torch.manual_seed(5)
                theirs = torch.nn.functional.dropout(at(torch.ones(shape)), p)
                x = at(chainrule.ones(shape))
                ours = x * dropout_mask(x, p, chainrule.Generator().manual_seed(5))
                assert ours.numpy().tobytes() == theirs.numpy().tobytes()


@pytest.mark.parametrize("randomness", ["same", "different"])
@pytest.mark.parametrize("name", DRAWS)
def test_draws_inside_vmap(name: str, randomness: str) -> None:
    """One vmap and two: the same numbers and errors."""

    def outcome(m: Any, nested: bool) -> Any:
        m.manual_seed(5)
        f = m.vmap(lambda x: DRAWS[name](m, x), randomness=randomness)
        x = m.arange(12.0).reshape(3, 4) / 12
        try:
            return (m.vmap(f, randomness="different")(m.stack([x, x])) if nested else f(x)).numpy().tolist()
        except RuntimeError as e:
            return str(e).partition("\n")[0]

    for nested in (False, True) if (name, randomness) != ("uniform_", "same") else (False,):  # nested is refused there
        assert outcome(chainrule, nested) == outcome(torch, nested)
