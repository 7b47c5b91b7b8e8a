"""Train on the source alone: what every adaptation method has to beat."""

from __future__ import annotations

from dalib.core.algorithm import Algorithm


class SourceOnly(Algorithm):
    """Cross-entropy on the source; the target is not used.

    loss = CE(logits_s, y_s)

    Shapes
        logits (B, K), y (B,)
    """

    family = "baseline"
    uses_target = False
