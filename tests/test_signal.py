"""Windows, short-time Fourier transforms and their inverse."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as torch
from chainrule.signal import windows

OTHERS = {"general_cosine": {"a": [0.4, 0.5, 0.1]}}


@pytest.mark.parametrize("name", windows.__all__)
def test_windows_are_symmetric_or_periodic(name: str) -> None:
    make, more = getattr(windows, name), OTHERS.get(name, {})
    whole = make(9, dtype=torch.float64, **more).numpy()
    assert np.allclose(whole, whole[::-1]) and whole.argmax() == 4 and np.isclose(whole[4], 1)
    assert np.allclose(make(8, sym=False, dtype=torch.float64, **more).numpy(), whole[:-1])
    assert make(0, **more).shape == (0,) and make(1, **more).tolist() == [1.0]
    assert make(5, requires_grad=True, **more).is_leaf and make(5, **more).dtype == torch.float32
    with pytest.raises(ValueError, match="requires non-negative window length, got M=-1"):
        make(-1, **more)
    with pytest.raises(ValueError, match=r"expects float32 or float64 dtypes, got: torch\.int64"):
        make(3, dtype=torch.int64, **more)


def test_windows_by_their_formulas() -> None:
    n = np.arange(6)
    assert np.allclose(windows.hann(6), np.hanning(6), atol=1e-6)
    assert np.allclose(windows.blackman(6), np.blackman(6), atol=1e-6)
    assert np.allclose(windows.hamming(6), np.hamming(6), atol=1e-6)
    assert np.allclose(windows.bartlett(6), np.bartlett(6), atol=1e-6)
    assert np.allclose(windows.kaiser(6, beta=5.0), np.kaiser(6, 5), atol=1e-6)
    assert np.allclose(windows.gaussian(6, std=2.0), np.exp(-(((n - 2.5) / 2) ** 2) / 2))
    assert np.allclose(windows.exponential(6, center=1, tau=2.0, sym=False), np.exp(-abs(n - 1) / 2))


@pytest.mark.parametrize("name", ["bartlett", "blackman", "hamming", "hann"])
def test_older_names_are_periodic(name: str) -> None:
    older, newer = getattr(torch, f"{name}_window"), getattr(windows, name)
    assert torch.equal(older(7), newer(7, sym=False)) and torch.equal(older(7, False), newer(7))
    assert older(3, dtype=torch.float16).dtype == torch.float16
    with pytest.raises(RuntimeError, match=f"{name}_window requires non-negative window_length, got window_length=-1"):
        older(-1)


def signal(n: int = 30) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal(n))


def test_each_column_is_the_transform_of_a_piece() -> None:
    x, w = signal(), windows.hann(6, dtype=torch.float64)
    found = torch.stft(x, 8, 3, 6, w, center=False, return_complex=True).numpy()
    assert found.shape == (5, 8)
    for i in range(8):
        piece = np.zeros(8)
        piece[1:7] = x.numpy()[3 * i + 1 : 3 * i + 7] * w.numpy()
        assert np.allclose(found[:, i], np.fft.rfft(piece))


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("onesided", [False, True])
def test_the_inverse(normalized: bool, onesided: bool) -> None:
    x, w = signal().reshape(2, 15), windows.hann(8, sym=False, dtype=torch.float64)
    z = torch.stft(x, 8, window=w, normalized=normalized, onesided=onesided, return_complex=True)
    back = torch.istft(z, 8, window=w, normalized=normalized, onesided=onesided, length=15)
    assert torch.allclose(back, x)


def test_gradients_of_signal_and_window() -> None:
    x, w = signal(12).requires_grad_(), windows.hann(4, sym=False, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, w: torch.stft(x, 6, 2, 4, w, return_complex=True), (x, w))
    z = torch.stft(x, 4, 1, window=w, return_complex=True).detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda z, w: torch.istft(z, 4, 1, window=w), (z, w))
    assert torch.autograd.gradgradcheck(lambda z, w: torch.istft(z, 4, 1, window=w), (z, w))


def test_errors_and_warnings() -> None:
    x, w = signal(10), torch.ones(4, dtype=torch.float64)
    with pytest.raises(RuntimeError, match="stft requires the return_complex parameter be given for real inputs"):
        torch.stft(x, 4, window=w)
    with pytest.raises(RuntimeError, match=r"hop_length=1, .*expected 0 < n_fft < 3, but got n_fft=4"):
        torch.stft(x[:3], 4, window=w, center=False, return_complex=True)
    with pytest.warns(UserWarning, match="A window was not provided"):
        z = torch.stft(x, 4, return_complex=True)
    with pytest.warns(UserWarning, match="The length of signal is shorter"):
        assert torch.istft(z, 4, window=w, length=20).shape == (20,)
    with pytest.raises(RuntimeError, match="window overlap add min: 1"):
        torch.istft(z, 4, window=0 * w)
    with pytest.raises(RuntimeError, match="istft requires a complex-valued input"):
        torch.istft(x, 4)
    assert torch.stft(x, 8, 2, 4, window=w, center=False, align_to_window=True, return_complex=True).shape == (5, 4)
