"""
Time series
===========

A sensor that drifts: the same three waves, told apart by their frequency, recorded elsewhere. A small 1-D
network is built to fit the rows.
"""

# %%
# 300 recordings of two channels each, 48 points long.
import matplotlib.pyplot as plt
import numpy as np

import dalib

rng = np.random.default_rng(0)
time = np.linspace(0, 1, 48)


def record(n, drift, noise):
    y = rng.integers(0, 3, n)
    wave = np.sin(2 * np.pi * (2 + 2 * y[:, None]) * time + rng.uniform(0, 2 * np.pi, (n, 1)))
    x = np.stack([wave, np.roll(wave, 6, axis=1)], axis=1) + drift * time
    return x + noise * rng.standard_normal(x.shape), y


x_s, y_s = record(300, drift=0, noise=0.3)
x_t, y_t = record(300, drift=3, noise=0.8)

# %%
# The target's labels are for the score only; ``fit`` is not given them.
recipe = {"steps": 60, "bottleneck": 32, "lr": 0.02, "backbone_rate": 1.0}
scores = {}
for name in ("source_only", "mcc", "adabn"):
    cnn = dalib.load_backbone(
        "cnn1d", "none", seed=0, rows=dalib.row_shape(x_s, x_t), channels=(16, 32), kernels=(7, 5)
    )
    model = dalib.AdaptationClassifier(name, backbone=cnn, train=recipe, device="cpu")
    scores[name] = model.fit(x_s, y_s, x_t).score(x_t, y_t)
print({name: f"{score:.1%}" for name, score in scores.items()})

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), width_ratios=(1.6, 1), layout="constrained")
for k, colour in enumerate(("#0072b2", "#c44e00", "#00805e")):
    left.plot(time, x_s[y_s == k][0, 0] + 4 * k, color=colour)
    left.plot(time, x_t[y_t == k][0, 0] + 4 * k, color=colour, linestyle=":")
left.set(title="one recording per class; dotted: target", xlabel="time", yticks=[])
right.barh(list(scores), [100 * v for v in scores.values()], color="#0072b2")
right.set(title="target accuracy in %", xlim=(0, 100))
