"""Numbers per row: prediction (n, m), y (n, m) float32."""

from __future__ import annotations

from torch import Tensor

from dalib.core.objective import Objective
from dalib.nn.ridge import fit_weighted_ridge


class Regression(Objective):
    """Squared error; the answer is the prediction itself.

    loss = mean_i mean_j (prediction_ij - y_ij)²

    Shapes
        prediction (B, m), y (B, m) float32; answer (n, m)
    """

    name = "regression"
    metrics = ("mae", "rmse", "r2", "nmae", "nrmse")
    recipe = {"answers": "standardised", "augment": "none"}
    scales = True

    def row_losses(self, prediction: Tensor, y: Tensor) -> Tensor:
        return (prediction - y.to(prediction.dtype)).square().mean(1)

    def solve(self, z: Tensor, y: Tensor, C: float, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Ridge regression."""
        return fit_weighted_ridge(z, y, C, weight)

    def decide(self, prediction: Tensor) -> Tensor:
        return prediction
