"""Joint and local MMD against loops in NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from dalib.nn.discrepancy import mmd2
from dalib.nn.joint_discrepancy import JOINT_ESTIMATORS, joint_mmd2, local_mmd2

FACTORS = [2.0**k for k in (-3, -2, -1, 0, 1)]
SIGMA2 = 0.92**2


def samples(n: int = 8, m: int = 6, d: int = 5, K: int = 4) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """z_s, z_t, p_s, p_t, y_s; class 3 is missing from y_s, and the target predicts class 0 nowhere."""
    g = torch.Generator().manual_seed(0)
    z_s, z_t = (torch.randn(k, d, generator=g, dtype=torch.float64) for k in (n, m))
    g_s, g_t = (2 * torch.randn(k, K, generator=g, dtype=torch.float64) for k in (n, m))
    g_t[:, 0] -= 5
    return z_s, 1.3 * z_t + 0.7, g_s.softmax(1), g_t.softmax(1), torch.arange(n) % 3


def loop_kernel(x: np.ndarray, bandwidths: list[float] | None) -> np.ndarray:
    squared = np.array([[((a - b) ** 2).sum() for b in x] for a in x])
    return sum(np.exp(-squared / (2 * b)) for b in bandwidths or [f * squared.mean() for f in FACTORS])


def loop_mmd2(k: np.ndarray, n: int, estimator: str) -> float:
    N, own = len(k), 0.0
    for group in (range(n), range(n, N)):
        own += np.mean([k[i, j] for i in group for j in group if estimator == "biased" or i != j])
    return float(own - 2 * np.mean([k[i, j] for i in range(n) for j in range(n, N)]))


@pytest.mark.parametrize("estimator", JOINT_ESTIMATORS)
@pytest.mark.parametrize(("n", "m"), [(8, 8), (8, 6), (5, 11)])
def test_joint_mmd2_is_the_textbook_value(estimator: str, n: int, m: int) -> None:
    z_s, z_t, p_s, p_t, _ = samples(n, m)
    z, p = np.concatenate([z_s, z_t]), np.concatenate([p_s, p_t])
    reference = loop_mmd2(loop_kernel(z, None) * loop_kernel(p, [SIGMA2]), n, estimator)
    value = joint_mmd2([z_s, p_s], [z_t, p_t], [None, [SIGMA2]], estimator)
    assert float(value) == pytest.approx(reference, abs=1e-8)
    single = joint_mmd2([z_s.float(), p_s.float()], [z_t.float(), p_t.float()], [None, [SIGMA2]], estimator)
    assert float(single) == pytest.approx(reference, abs=1e-4)


def test_joint_mmd2_of_one_layer_is_mmd2_and_sees_what_the_margins_hide() -> None:
    z_s, z_t, *_ = samples()
    assert float(joint_mmd2([z_s], [z_t])) == pytest.approx(float(mmd2(z_s, z_t)), abs=1e-12)
    z, p = torch.tensor([[0.0], [1.0]]).repeat(20, 1), torch.eye(2).repeat(20, 1)
    assert float(mmd2(z, z, estimator="biased")) == pytest.approx(0, abs=1e-6)
    assert float(joint_mmd2([z, p], [z, p.flip(1)], estimator="biased")) > 0.1


def loop_local(z: np.ndarray, n: int, y_s: np.ndarray, p_t: np.ndarray) -> float:
    """Class by class: the expansion of ||mean of class c's source rows - weighted mean of target rows||²."""
    k, values = loop_kernel(z, None), []
    for c in sorted({*y_s.tolist()} & {*p_t.argmax(1).tolist()}):
        w = np.array([float(y == c) for y in y_s]) / (y_s == c).sum()
        v = p_t[:, c] / p_t[:, c].sum()
        ss = sum(w[i] * w[j] * k[i, j] for i in range(n) for j in range(n))
        tt = sum(v[i] * v[j] * k[n + i, n + j] for i in range(len(v)) for j in range(len(v)))
        st = sum(w[i] * v[j] * k[i, n + j] for i in range(n) for j in range(len(v)))
        values.append(ss + tt - 2 * st)
    return float(np.mean(values))


@pytest.mark.parametrize(("n", "m"), [(8, 8), (8, 6), (5, 11)])
def test_local_mmd2_is_the_value_of_the_authors_definition(n: int, m: int) -> None:
    z_s, z_t, _, p_t, y_s = samples(n, m)
    reference = loop_local(np.concatenate([z_s, z_t]), n, y_s.numpy(), p_t.numpy())
    assert float(local_mmd2(z_s, z_t, y_s, p_t)) == pytest.approx(reference, abs=1e-8)
    assert float(local_mmd2(z_s.float(), z_t.float(), y_s, p_t.float())) == pytest.approx(reference, abs=1e-4)


def test_local_mmd2_is_zero_where_no_class_is_shared_and_where_classes_coincide() -> None:
    z = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    y = torch.zeros(6, dtype=torch.int64)
    assert float(local_mmd2(z, z + 3, y, torch.eye(2)[[1] * 6])) == 0
    assert float(local_mmd2(z, z, torch.arange(6) % 2, torch.eye(2)[torch.arange(6) % 2])) == pytest.approx(0, abs=1e-6)
    assert float(local_mmd2(z, z + 3, y, torch.eye(2)[[0] * 6])) > 0.1


def with_gradients(value: Callable[..., Tensor], *inputs: Tensor) -> bool:
    return torch.autograd.gradcheck(value, tuple(x.clone().requires_grad_() for x in inputs))


def test_both_have_the_right_gradient_at_fixed_bandwidths() -> None:
    z_s, z_t, p_s, p_t, y_s = samples(5, 4, 3)
    for estimator in JOINT_ESTIMATORS:
        assert with_gradients(
            lambda a, b, c, d, e=estimator: joint_mmd2([a, b], [c, d], [[0.5, 2.0], [SIGMA2]], e), z_s, p_s, z_t, p_t
        )
    assert with_gradients(lambda a, b: local_mmd2(a, b, y_s, p_t, [0.5, 2.0]), z_s, z_t)


def distances(z_s: Tensor, z_t: Tensor, p_s: Tensor, p_t: Tensor, y_s: Tensor) -> list[Tensor]:
    return [joint_mmd2([z_s, p_s], [z_t, p_t], [None, [SIGMA2]]), local_mmd2(z_s, z_t, y_s, p_t)]


def test_the_order_of_rows_does_not_matter() -> None:
    z_s, z_t, p_s, p_t, y_s = samples()
    i, j = torch.arange(8).flip(0), torch.arange(6).roll(2)
    for before, after in zip(
        distances(z_s, z_t, p_s, p_t, y_s), distances(z_s[i], z_t[j], p_s[i], p_t[j], y_s[i]), strict=True
    ):
        assert float(before) == pytest.approx(float(after), abs=1e-12)


@pytest.mark.parametrize("value", [0.0, 1.0, 1000.1])
@pytest.mark.parametrize("sizes", [(6, 6), (6, 3), (1, 1)])
def test_constant_features_stay_finite(value: float, sizes: tuple[int, int]) -> None:
    z_s, z_t = (torch.full((n, 32), value, requires_grad=True) for n in sizes)
    p_s, p_t = (torch.eye(4)[[1] * n] for n in sizes)
    for d in distances(z_s, z_t, p_s, p_t, torch.ones(sizes[0], dtype=torch.int64)):
        gradients = torch.autograd.grad(d, (z_s, z_t))
        assert d.isfinite() and all(g.isfinite().all() for g in gradients)


def test_bfloat16_input_is_computed_in_single_precision() -> None:
    z_s, z_t, p_s, p_t, y_s = (x.bfloat16() if x.is_floating_point() else x for x in samples(24, 20, 64))
    exact = distances(z_s.float(), z_t.float(), p_s.float(), p_t.float(), y_s)
    for coarse, value in zip(distances(z_s, z_t, p_s, p_t, y_s), exact, strict=True):
        assert coarse.dtype == torch.float32
        assert float(coarse) == pytest.approx(float(value), abs=1e-6)


def test_unknown_estimator_is_refused() -> None:
    with pytest.raises(ValueError, match="known: unbiased, biased"):
        joint_mmd2([torch.ones(2, 1)], [torch.ones(2, 1)], estimator="linear")
