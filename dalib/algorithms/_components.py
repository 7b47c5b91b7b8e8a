"""What TCA and the methods that grew from it share: unit rows, a kernel, components, pseudo-labels."""

from __future__ import annotations

import torch
from torch import Tensor

from dalib.algorithms._unit_rows import scale_components, warn_of_components
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.hyper import choice, flag, positive, state, whole
from dalib.core.needs import Needs, Size, need, need_classifier
from dalib.nn.classifiers import fit_classifier, score_classifier
from dalib.nn.components import KERNELS, kernel_features, make_landmarks, mean_contrasts, transfer_components
from dalib.nn.density_ratio import order_rows, spread
from dalib.nn.separability import deviation_in_classes, estimate_balance


class ComponentMethod(FeatureAlgorithm):
    """z' = Wᵀ phi(z / ||z||) scaled to unit length, W from an eigenproblem; subclasses name their hyper-parameters."""

    instead = "kernel = 'primal', which needs no pairs of rows, or centres = 1000, kernels at so many rows"
    kernel: str = choice(
        default="primal",
        options=KERNELS,
        search=KERNELS,
        doc="phi(z): z itself, or the kernel's values at all training rows",
    )
    components: int = whole(default=20, search=(10, 20, 40, 80), doc="dimensions of z'; at most the features' width")
    reg: float = positive(
        default=1.0, search=(0.1, 1.0, 10.0), doc="weight of ||W||² beside the distance of means (on unit rows)"
    )
    gamma: float = positive(
        default=1.0, doc="`rbf` is exp(-gamma ||a - b||²) on unit rows, whose squared distances lie in [0, 4]"
    )
    unit_rows: bool = flag(default=True, doc="scale rows to unit length, before and after; False: as they are")
    centres: int = whole(
        default=0, least=0, doc="training rows at which `rbf` has its kernels, evenly spaced in their order; 0 = all"
    )
    landmarks: Tensor = state()
    directions: Tensor = state()

    def needs(self, size: Size) -> Needs:
        n, i, k = size.n_s + size.n_t, self.hparams.get("iterations", 1), self.components
        m = min(self.centres or n, n) if self.kernel == "rbf" else min(n, size.d)  # the least width that is the same
        whole = m == n and self.kernel != "primal"
        numbers = "4 n²" if whole else "4 n m"
        few = whole and k <= m // 16  # Lanczos: two products with a vector in each of some hundred steps
        products, passes = ("n m d", "2 n m + 200 i n m") if few else ("n m d + i n m² + 5 i m³", "2 n m")
        solution = need(size, f"{numbers} + 3 n d", products, passes, i=i, m=m)
        return solution + need_classifier(size, self.classifier, k, i)

    def carry(self, z: Tensor, z_s: Tensor, z_t: Tensor, moved: Tensor) -> Tensor:
        return self.project(z)

    def project(self, z: Tensor) -> Tensor:
        phi = kernel_features(self.kernel, scale_components(z, self.unit_rows), self.landmarks, self.gamma)
        return scale_components(phi @ self.directions, self.unit_rows)

    def solve(
        self, z_s: Tensor, y_s: Tensor, z_t: Tensor, iterations: int, marginal: float, conditional: float | None
    ) -> Tensor:
        """The moved source rows after `iterations` solutions, each with the pseudo-labels that the last one gives.

        conditional: None = mu, in each solution `estimate_balance` of the last one's rows, and 1 - mu times `marginal`
        """
        warn_of_components(self.name_for_people(), z_s, z_t, y_s, self.unit_rows)
        z = scale_components(torch.cat([z_s, z_t]), self.unit_rows)
        few = self.kernel == "rbf" and 0 < self.centres < len(z)
        picked = z[order_rows(z)[spread(len(z), self.centres)]] if few else z
        self.register_buffer("landmarks", make_landmarks(self.kernel, picked))
        phi = kernel_features(self.kernel, z, self.landmarks, self.gamma)
        y_t, weights = None, (marginal, conditional or 0.0)
        for left in reversed(range(iterations)):
            E = mean_contrasts(y_s, len(z_t), y_t, *weights)
            directions = transfer_components(phi, E, self.reg, self.components)
            if z.shape[1] == directions.shape[1] == 1:
                directions = directions / deviation_in_classes(phi[: len(z_s)] @ directions, y_s)
            self.register_buffer("directions", directions)
            moved_s, moved_t = scale_components(phi @ self.directions, self.unit_rows).split([len(z_s), len(z_t)])
            if left:
                K = self.network.outputs
                state = fit_classifier(self.classifier, moved_s, y_s, self.C, K, k=self.k)
                y_t = score_classifier(self.classifier, moved_t, state, K).argmax(1)
                if conditional is None:
                    mu = estimate_balance(moved_s, y_s, moved_t, y_t)
                    weights = (1 - mu) * marginal, mu
        return moved_s
