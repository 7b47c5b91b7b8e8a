"""
When one class is more frequent
===============================

The classes look the same in both domains, but one of them is far more frequent in the target. The proportions
can be found without a label.
"""

# %%
# A third of each in the source; seven tenths of one class in the target.
import matplotlib.pyplot as plt
import numpy as np

from dalib import AdaptationClassifier, LabelShift, LinearProbe

rng = np.random.default_rng(0)
means = np.array([[0.0, 0.0], [1.6, 0.4], [0.4, 1.6]])
true = np.array([0.7, 0.2, 0.1])


def draw(n, proportions):
    y = rng.choice(3, n, p=proportions)
    return means[y] + 0.8 * rng.normal(size=(n, 2)), y


x_s, y_s = draw(600, np.ones(3) / 3)
x_t, y_t = draw(600, true)

# %%
models = {"linear_probe": LinearProbe(), "label_shift": LabelShift()}
fitted = {name: AdaptationClassifier(algorithm).fit(x_s, y_s, x_t) for name, algorithm in models.items()}
scores = {name: model.score(x_t, y_t) for name, model in fitted.items()}
found = np.asarray(fitted["label_shift"].fitted_.algorithm.proportions)
print({name: f"{score:.1%}" for name, score in scores.items()}, found.round(2))

# %%
figure, panel = plt.subplots(figsize=(6, 3.4), layout="constrained")
for k, (name, values) in enumerate({"source": np.bincount(y_s) / 600, "found": found, "true": true}.items()):
    panel.bar(np.arange(3) + 0.27 * (k - 1), values, 0.25, label=name, color=("#9aa0a6", "#0072b2", "#c44e00")[k])
panel.set(xticks=range(3), xticklabels=["class 0", "class 1", "class 2"], ylabel="part of all rows")
panel.legend(frameon=False)
