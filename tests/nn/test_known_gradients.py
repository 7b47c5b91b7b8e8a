import pytest
import torch
from torch import Tensor

from dalib.nn.constants import LARGEST_KEPT, blocks
from dalib.nn.discrepancy import coral_distance, mmd2
from dalib.nn.known_gradients import with_gradients

CPU = torch.device("cpu")


def sum_of_squares(x: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        value = x.square().sum() + y.square().sum()
    return with_gradients(value, [x, y], lambda: [2 * x, 2 * y])


def test_the_given_gradients_are_those_of_backward_times_what_comes_in() -> None:
    x, y = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([3.0], requires_grad=True)
    value = sum_of_squares(x, y)
    assert value.item() == 14
    (5 * value).backward()
    assert x.grad is not None and y.grad is not None
    assert x.grad.tolist() == [10, 20] and y.grad.tolist() == [30]


def test_an_input_without_gradient_is_left_alone() -> None:
    x, y = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([3.0])
    sum_of_squares(x, y).backward()
    assert x.grad is not None and y.grad is None


def test_gradients_are_not_made_where_they_are_switched_off() -> None:
    def refuse() -> list[Tensor]:
        raise AssertionError

    with torch.no_grad():
        assert with_gradients(torch.tensor(2.0), [torch.ones(1)], refuse).item() == 2


def test_a_second_derivative_is_refused() -> None:
    x, y = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([3.0], requires_grad=True)
    (first,) = torch.autograd.grad(sum_of_squares(x, y) ** 2, x, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        first.sum().backward()


@pytest.mark.parametrize("distance", [mmd2, coral_distance])
def test_a_loss_is_the_same_without_gradients(distance) -> None:  # type: ignore[no-untyped-def]
    g = torch.Generator().manual_seed(0)
    z_s, z_t = torch.randn(5, 12, generator=g), torch.randn(6, 12, generator=g) + 1
    with torch.no_grad():
        plain = distance(z_s, z_t)
    torch.testing.assert_close(distance(z_s.requires_grad_(), z_t).detach(), plain, rtol=0, atol=0)


@pytest.mark.parametrize("hollow", [False, True])
def test_blocks_hold_their_values(hollow: bool) -> None:
    found = blocks((2, 1), (1.0, 2.0, 3.0), hollow, torch.float64, CPU)
    expected = torch.tensor([[1.0, 1, 2], [1, 1, 2], [2, 2, 3]], dtype=torch.float64)
    assert torch.equal(found, expected.fill_diagonal_(0) if hollow else expected)


def test_small_blocks_are_kept_and_large_ones_are_not() -> None:
    half = LARGEST_KEPT // 2
    for size, kept in ((half, True), (half + 1, False)):
        first, second = (blocks((size, half), (1.0, 2.0, 3.0), False, torch.float32, CPU) for _ in range(2))
        assert (first is second) == kept


@pytest.mark.parametrize("d", [4, 40])
def test_coral_of_few_rows_is_that_of_the_covariance_matrices(d: int) -> None:
    g = torch.Generator().manual_seed(1)
    z_s = torch.randn(7, d, generator=g, dtype=torch.float64).requires_grad_()
    z_t = (2 * torch.randn(9, d, generator=g, dtype=torch.float64) + 3).requires_grad_()
    plain = (torch.cov(z_s.T) - torch.cov(z_t.T)).square().sum() / (4 * d**2)
    found = coral_distance(z_s, z_t)
    torch.testing.assert_close(found, plain, rtol=1e-11, atol=0)
    for a, b in zip(torch.autograd.grad(found, [z_s, z_t]), torch.autograd.grad(plain, [z_s, z_t]), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-14)


def test_coral_of_equal_rows_is_zero_and_not_negative() -> None:
    z = torch.randn(6, 30, generator=torch.Generator().manual_seed(2))
    assert 0 <= coral_distance(z, z).item() < 1e-8
