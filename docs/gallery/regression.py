"""
Numbers instead of classes
==========================

Sensors that were set up differently: their readings are offset, and the numbers read off them are wrong until
the model is adapted.
"""

# %%
# ``mini_shifts`` has two answers per row, ``sum`` and ``bend`` of four causes that twelve sensors see.
import matplotlib.pyplot as plt

import dalib

runs = {
    name: dalib.fit("mini_shifts", "calm", "offset", name, train={"steps": 300}) for name in ("linear_probe", "coral")
}
for name, run in runs.items():
    print(name, {k: round(v, 3) for k, v in run.values.items() if k.startswith("target")})

# %%
# What the model says against what is true, on the target.
figure, panels = plt.subplots(1, 2, figsize=(8, 3.8), sharex=True, sharey=True, layout="constrained")
for panel, (name, run) in zip(panels, runs.items(), strict=True):
    outputs = run.fitted.outputs(run.task.test)
    panel.scatter(outputs.y[:, 0], outputs.prediction[:, 0], s=6, color="#0072b2")
    ends = [float(outputs.y[:, 0].min()), float(outputs.y[:, 0].max())]
    panel.plot(ends, ends, color="black", linewidth=0.8)
    panel.set(title=name, xlabel=f"true {run.task.classes[0]}", ylabel="predicted")
