"""``interpolate``, ``grid_sample`` and pixel shuffles, without PyTorch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import chainrule as torch
from chainrule.autograd import gradcheck, gradgradcheck
from chainrule.nn import functional as F

RNG = np.random.default_rng(0)
MODES = [
    ("nearest", {}), ("nearest-exact", {}), ("bilinear", {}), ("bilinear", {"align_corners": True}), ("bicubic", {}),
    ("bicubic", {"align_corners": True}), ("bilinear", {"antialias": True}), ("bicubic", {"antialias": True}),
    ("lanczos", {"antialias": True}), ("area", {}),
]  # fmt: skip


@pytest.mark.parametrize(("mode", "options"), MODES)
@pytest.mark.parametrize("size", [(3, 9), (1, 1), (5, 4)])
def test_constants_stay_and_derivatives_fit(mode: str, options: dict[str, bool], size: tuple[int, int]) -> None:
    x = torch.tensor(RNG.standard_normal((1, 2, 5, 4)), requires_grad=True)
    one = F.interpolate(torch.full((1, 1, 5, 4), 3.0, dtype=torch.float64), size, mode=mode, **options)
    np.testing.assert_allclose(one.numpy(), 3, rtol=1e-12)
    assert gradcheck(lambda x: F.interpolate(x, size, mode=mode, **options), x, check_forward_ad=True)
    if size == (5, 4) and mode != "lanczos":
        np.testing.assert_allclose(F.interpolate(x, size, mode=mode, **options).detach(), x.detach(), atol=1e-12)


def test_between_two_points() -> None:
    x = torch.tensor([[[0.0, 4.0]]])
    assert F.interpolate(x, scale_factor=2, mode="linear").flatten().tolist() == [0.0, 1.0, 3.0, 4.0]
    assert F.interpolate(x, 3, mode="linear", align_corners=True).flatten().tolist() == [0.0, 2.0, 4.0]
    assert F.interpolate(x, scale_factor=2).flatten().tolist() == [0.0, 0.0, 4.0, 4.0]
    assert F.interpolate(x, size=3).flatten().tolist() == [0.0, 0.0, 4.0]
    assert F.interpolate(x, size=3, mode="nearest-exact").flatten().tolist() == [0.0, 4.0, 4.0]


def test_a_cubic_is_found_again() -> None:
    at = np.arange(9.0)
    x = torch.tensor((at**2).reshape(1, 1, 1, 9)).expand(1, 1, 9, 9)
    found = F.interpolate(x, (17, 17), mode="bicubic", align_corners=True)[0, 0, 0, 4:13:2]
    np.testing.assert_allclose(found.numpy(), at[2:7] ** 2, rtol=1e-12)


def test_a_line_stays_a_line_and_nothing_is_left_out() -> None:
    x = torch.arange(16.0, dtype=torch.float64).reshape(1, 1, 1, 16).expand(1, 1, 16, 16)
    small = F.interpolate(x, (4, 4), mode="bilinear", antialias=True)[0, 0, 0]
    np.testing.assert_allclose(small[1:3].numpy(), [5.5, 9.5], rtol=1e-12)
    spike = torch.zeros(1, 1, 16, 16)
    spike[0, 0, 7, 7] = 1.0
    assert F.interpolate(spike, (4, 4), mode="bilinear").sum() == 0
    assert F.interpolate(spike, (4, 4), mode="bilinear", antialias=True).sum() > 0.04


def test_volumes_and_scales_taken_as_given() -> None:
    x = torch.tensor(RNG.standard_normal((1, 1, 3, 3, 3)), requires_grad=True)
    assert F.interpolate(x, scale_factor=(2, 1, 1.5), mode="trilinear").shape == (1, 1, 6, 3, 4)
    assert gradcheck(lambda x: F.interpolate(x, scale_factor=1.7, mode="trilinear"), x)
    line = torch.arange(10.0).reshape(1, 1, 10)
    given = F.interpolate(line, scale_factor=0.45, mode="linear").flatten()
    anew = F.interpolate(line, scale_factor=0.45, mode="linear", recompute_scale_factor=True).flatten()
    np.testing.assert_allclose(given, [0.6111, 2.8333, 5.0556, 7.2778], atol=1e-4)
    np.testing.assert_allclose(anew, [0.75, 3.25, 5.75, 8.25])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"mode": "nearest", "align_corners": True}, ValueError, "align_corners option can only be set with"),
        ({"size": 2, "scale_factor": 2}, ValueError, "only one of size or scale_factor should be defined"),
        ({}, ValueError, "either size or scale_factor should be defined"),
        ({"size": (2, 2, 2)}, ValueError, "must have the same number of spatial dimensions"),
        ({"size": 2, "mode": "trilinear"}, NotImplementedError, "Got 4D input, but trilinear mode needs 5D input"),
        ({"size": 2, "mode": "nearest", "antialias": True}, ValueError, "Anti-alias option is restricted"),
        ({"size": 2, "mode": "cubic"}, NotImplementedError, "Only 3D, 4D and 5D input Tensors supported"),
        ({"size": 0}, RuntimeError, "Input and output sizes should be greater than 0"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        F.interpolate(torch.ones(1, 1, 4, 4), **options)


def test_old_names_warn() -> None:
    x = torch.arange(4.0).reshape(1, 1, 2, 2)
    with pytest.warns(UserWarning, match="upsample_bilinear` is deprecated"):
        assert torch.equal(F.upsample_bilinear(x, 3), F.interpolate(x, 3, mode="bilinear", align_corners=True))
    with pytest.warns(UserWarning, match="Use `nn.functional.interpolate` instead"):
        assert F.upsample_nearest(x, scale_factor=2).shape == (1, 1, 4, 4)


# --- at any place ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize(
    ("mode", "same"), [("bilinear", "bilinear"), ("bicubic", "bicubic"), ("nearest", "nearest-exact")]
)
def test_a_regular_grid_is_interpolation(mode: str, same: str, align: bool) -> None:
    if mode == "nearest" and align:
        pytest.skip("interpolate does not align corners for the nearest point")
    x = torch.tensor(RNG.standard_normal((2, 3, 5, 3)))  # of which no new point is in the middle of two
    theta = torch.eye(2, 3, dtype=torch.float64).expand(2, 2, 3)
    grid = F.affine_grid(theta, (2, 3, 7, 7), align_corners=align)
    found = F.grid_sample(x, grid, mode=mode, padding_mode="border", align_corners=align)
    wanted = F.interpolate(x, (7, 7), mode=same, **({} if mode == "nearest" else {"align_corners": align}))
    np.testing.assert_allclose(found.numpy(), wanted.numpy(), atol=1e-12)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_derivatives_in_the_image_and_in_the_places(mode: str, padding: str) -> None:
    x = torch.tensor(RNG.standard_normal((1, 2, 4, 3)), requires_grad=True)
    grid = torch.tensor(RNG.uniform(-1.6, 1.6, (1, 3, 3, 2)), requires_grad=True)
    f = lambda x, g: F.grid_sample(x, g, mode, padding, align_corners=False)
    assert gradcheck(f, (x, grid), check_forward_ad=True)
    assert gradgradcheck(f, (x, grid))


def test_places_beyond_the_ends() -> None:
    x = torch.tensor([[[[1.0, 2.0, 3.0]]]])
    places = torch.tensor([-3.0, -1.0, 0.0, 1.0, 2.0])
    grid = torch.stack([places, torch.zeros(5)], -1).reshape(1, 1, 5, 2)

    def at(padding: str) -> list[float]:
        found: list[float] = F.grid_sample(x, grid, padding_mode=padding, align_corners=True).flatten().tolist()
        return found

    assert at("zeros") == [0.0, 1.0, 2.0, 3.0, 0.0]
    assert at("border") == [1.0, 1.0, 2.0, 3.0, 3.0]
    assert at("reflection") == [3.0, 1.0, 2.0, 3.0, 2.0]


def test_in_space_and_in_a_batch() -> None:
    x = torch.tensor(RNG.standard_normal((1, 1, 2, 2, 2)))
    centre = F.grid_sample(x, torch.zeros(1, 1, 1, 1, 3, dtype=torch.float64), align_corners=False)
    assert math.isclose(centre.item(), x.mean().item())
    xs, gs = torch.tensor(RNG.standard_normal((3, 1, 1, 4, 4))), torch.tensor(RNG.uniform(-1, 1, (3, 1, 2, 2, 2)))
    f = lambda x, g: F.grid_sample(x, g, align_corners=False)
    together = torch.vmap(f)(xs, gs)
    np.testing.assert_allclose(together.numpy(), np.stack([f(x, g).numpy() for x, g in zip(xs, gs, strict=True)]))


def test_grids_that_do_not_fit() -> None:
    x = torch.ones(1, 1, 2, 2)
    with pytest.raises(RuntimeError, match="expected grid to have size 2 in last dimension"):
        F.grid_sample(x, torch.zeros(1, 1, 1, 3), align_corners=False)
    with pytest.raises(RuntimeError, match="expected grid and input to have same batch size"):
        F.grid_sample(x, torch.zeros(2, 1, 1, 2), align_corners=False)
    with pytest.raises(ValueError, match="expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: 'linear'"):
        F.grid_sample(x, torch.zeros(1, 1, 1, 2), mode="linear")
    with pytest.warns(UserWarning, match="Default grid_sample and affine_grid behavior has changed"):
        F.grid_sample(x, torch.zeros(1, 1, 1, 2))
    with pytest.raises(ValueError, match="Expected a batch of 2D affine matrices of shape Nx2x3"):
        F.affine_grid(torch.ones(1, 3, 3), (1, 1, 2, 2), align_corners=False)


def test_channels_and_pixels() -> None:
    x = torch.tensor(RNG.standard_normal((2, 8, 3, 2)), requires_grad=True)
    big = F.pixel_shuffle(x, 2)
    assert big.shape == (2, 2, 6, 4)
    assert big[0, 1, 2, 3] == x[0, 4 + 1, 1, 1]
    assert torch.equal(F.pixel_unshuffle(big, 2), x)
    assert gradcheck(lambda x: F.pixel_shuffle(x, 2), x)
    assert torch.equal(F.channel_shuffle(x, 2)[:, 1], x[:, 4])
    assert torch.equal(F.channel_shuffle(F.channel_shuffle(x, 2), 4), x)
    with pytest.raises(RuntimeError, match=r"input.size\(-3\)=8 is not divisible by 9"):
        F.pixel_shuffle(x, 3)
    with pytest.raises(
        RuntimeError, match="Number of channels must be divisible by groups. Got 8 channels and 3 groups."
    ):
        F.channel_shuffle(x, 3)
