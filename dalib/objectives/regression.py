"""Numbers per row: prediction (n, m), y (n, m) float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from dalib.core.errors import DalibError
from dalib.core.limits import LARGEST_ANSWER
from dalib.core.objective import Objective, refuse_shape
from dalib.nn.ridge import fit_weighted_ridge

if TYPE_CHECKING:
    import numpy as np


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

    def check_labels(self, y: np.ndarray, outputs: int, where: str) -> None:
        refuse_shape(self.name, y, ("n", outputs), where)
        if not (abs(y) <= LARGEST_ANSWER).all():
            raise DalibError(
                f"{where} hold NaN, infinity or a number beyond {LARGEST_ANSWER:g}, whose square float32 cannot hold; "
                "leave such rows out, or give a larger unit"
            )

    def row_losses(self, prediction: Tensor, y: Tensor) -> Tensor:
        return (prediction - y.to(prediction.dtype)).square().mean(1)

    def solve(self, z: Tensor, y: Tensor, C: float, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Ridge regression."""
        return fit_weighted_ridge(z, y, C, weight)

    def decide(self, prediction: Tensor) -> Tensor:
        return prediction
