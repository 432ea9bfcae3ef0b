"""``nn.functional`` on the samples of PyTorch's own database of operations, in every reading."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
import op_db

pytestmark = pytest.mark.usefixtures("own_generator")

LOSSES = """cosine_embedding_loss gaussian_nll_loss hinge_embedding_loss huber_loss kl_div margin_ranking_loss
multi_margin_loss multilabel_margin_loss multilabel_soft_margin_loss poisson_nll_loss smooth_l1_loss soft_margin_loss
triplet_margin_loss"""
NORMS = "batch_norm group_norm instance_norm layer_norm local_response_norm rms_norm"
SHAPES = """pad conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d unfold"""


@pytest.mark.parametrize("name", [*LOSSES.split(), *NORMS.split(), *SHAPES.split()])
def test_as_in_pytorch(name: str) -> None:
    entries = [op for op in op_db.op_db if op.name == f"nn.functional.{name}" and op.supported_dtypes("cpu")]
    assert entries
    for entry in entries:
        score = op_db.run(entry, 4)
        assert "forward" in score.levels
        assert not score.failed
