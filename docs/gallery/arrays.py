"""
Arrays, with scikit-learn
=========================

Rows of numbers from two sources, say two laboratories. ``AdaptationClassifier`` is a scikit-learn classifier
whose ``fit`` takes the target's rows too.
"""

# %%
# The second laboratory's instruments have other offsets and gains.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression

from dalib import CORAL, AdaptationClassifier, AdaptationTransformer

rng = np.random.default_rng(0)
means = np.array([[0, 0], [2.4, 0.6], [0.6, 2.4]])


def draw(n, gain, offset):
    y = rng.integers(0, 3, n)
    return (means[y] + 0.5 * rng.normal(size=(n, 2))) @ gain + offset, y


x_s, y_s = draw(200, np.eye(2), 0)
x_t, y_t = draw(200, np.array([[1.3, 0.5], [-0.4, 0.8]]), [1.5, -1])

# %%
# CORAL moves the source's rows so that mean and covariance are the target's; any classifier is fitted on them.
alone = LogisticRegression().fit(x_s, y_s)
adapted = AdaptationClassifier(CORAL(reg=0.01), estimator=LogisticRegression()).fit(x_s, y_s, x_t)
print(f"alone {alone.score(x_t, y_t):.1%}, adapted {adapted.score(x_t, y_t):.1%}")

# %%
# Where the rows are moved to. The method never sees the target's labels.
mapping = AdaptationTransformer(CORAL(reg=0.01)).fit(x_s, y_s, X_target=x_t)
moved = mapping.transform(x_s, sample_domain=np.ones(200, int))
at_home = mapping.transform(x_t)
figure, panels = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
colours = np.array(["#0072b2", "#c44e00", "#00805e"])
for panel, (title, source, target) in zip(
    panels, (("as they are", x_s, x_t), ("moved by CORAL", moved, at_home)), strict=True
):
    panel.scatter(*source.T, c=colours[y_s], s=14, marker="o", alpha=0.5, label="source")
    panel.scatter(*target.T, c=colours[y_t], s=18, marker="^", edgecolor="black", linewidth=0.3, label="target")
    panel.set_title(title)
panels[0].legend(frameon=False)
