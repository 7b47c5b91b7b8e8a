"""
A class for every pixel
=======================

Scenes with masks, from clean catalogue pages to a webcam: the trainer and the algorithms are the same, the
answer is a picture.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

import dalib

runs = {
    name: dalib.fit(
        "mini_scenes",
        "catalogue",
        "webcam",
        name,
        train={
            "steps": 100,
            "lr": 0.1,
            "backbone_rate": 1.0,
            "crop": 48,
            "decoder": "unet",
            "bottleneck": 64,
            "batch_size": 12,
        },
        protocol={"validation": 0.1},
    )
    for name in ("source_only", "fda")
}
for name, run in runs.items():
    print(f"{name}: mean IoU {run.values['target']:.1%}")

# %%
# Three scenes, their masks, and what each model makes of them.
task = runs["source_only"].task
few = task.test.take(np.array([0, 7, 14]), "gallery")
columns = {"picture": np.asarray(few.x).transpose(0, 2, 3, 1), "mask": few.labels}
columns |= {name: run.fitted.outputs(few).prediction for name, run in runs.items()}
figure, panels = plt.subplots(3, 4, figsize=(8, 6), layout="constrained")
for column, (name, pictures) in zip(panels.T, columns.items(), strict=True):
    column[0].set_title(name)
    for panel, picture in zip(column, pictures, strict=True):
        panel.imshow(picture, cmap="tab20", vmin=0, vmax=len(task.classes), interpolation="nearest")
        panel.set(xticks=[], yticks=[])
