"""
A first run
===========

Train on catalogue pictures with labels, work on webcam pictures without: one call trains, and says how good the
model is.

``mini_office`` is drawn by dalib, so nothing is fetched. Without further settings its pictures go through
``tiny``, a small network that
ships with dalib and stays as it is; a small network on its features learns.
"""

# %%
# Without adaptation, and with MCC.
import matplotlib.pyplot as plt

import dalib

runs = {name: dalib.fit("mini_office", "amazon", "webcam", name) for name in ("source_only", "mcc")}
for name, run in runs.items():
    print(f"{name}: {run.values['target']:.1%} on the target")

# %%
# Where the network puts the pictures of both domains. The target has no labels while it is trained.
figure, panels = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for panel, (name, run) in zip(panels, runs.items(), strict=True):
    dalib.plots.features(run.fitted, run.task, panel)
    panel.set_title(f"{name}: {run.values['target']:.1%}")
