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
SHAPES = """pad conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d unfold pixel_shuffle pixel_unshuffle
channel_shuffle interpolate upsample_nearest upsample_bilinear grid_sample"""
POOLING = """max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool2d adaptive_avg_pool3d
adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d fractional_max_pool2d max_unpool2d max_unpool3d"""
OTHERS = """embedding embedding_bag dropout dropout2d alpha_dropout feature_alpha_dropout scaled_dot_product_attention
multi_head_attention_forward ctc_loss bilinear pdist rrelu"""


@pytest.mark.parametrize("name", " ".join([LOSSES, NORMS, SHAPES, POOLING, OTHERS]).split())
def test_as_in_pytorch(name: str) -> None:
    entries = [op for op in op_db.op_db if op.name == f"nn.functional.{name}" and op.supported_dtypes("cpu")]
    assert entries
    for entry in entries:
        score = op_db.run(entry, 4)
        assert "forward" in score.levels
        assert not score.failed
