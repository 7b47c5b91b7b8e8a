"""
An algorithm of your own
========================

A class with one method: what adaptation adds to the loss. Trainer, recipe, suites, records and tables work with it as
with the others.
"""

# %%
# The idea: what the network says of target pictures shall be decided, so their entropy is part of the loss. A
# hyper-parameter is one line; constructor, range check and search come from it.
import matplotlib.pyplot as plt

import dalib
from dalib.core.algorithm import Algorithm
from dalib.core.hyper import positive
from dalib.core.registry import ALGORITHMS


class Decide(Algorithm):
    """Decided answers on the target.

    loss = supervised loss + weight * mean of -sum_k p_k log p_k over target rows
    """

    family = "entropy"

    weight: float = positive(default=0.1, zero=True, search=(0.03, 0.3), doc="trade-off of the entropy")

    def adapt(self, source, target, progress):
        log_p = target.logits.log_softmax(1)
        return {"entropy": -self.weight * progress * (log_p.exp() * log_p).sum(1).mean()}


# %%
# With a name it trains like any other; a value out of range is refused.
ALGORITHMS.add("decide", Decide)
try:
    Decide(weight=-1)
except dalib.DalibError as error:
    print(error)

runs = {weight: dalib.fit("mini_office", "amazon", "webcam", Decide(weight=weight)) for weight in (0.0, 0.1)}
for weight, run in runs.items():
    print(f"weight {weight}: {run.values['target']:.1%}")

# %%
# Its terms over training. In a file of its own, ``dalib check decide.py`` holds it to the contract of all algorithms.
figure, panel = plt.subplots(figsize=(6, 3.4), layout="constrained")
dalib.plots.curves(runs[0.1].fitted, panel)
