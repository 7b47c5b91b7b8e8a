"""
A few target labels
===================

Somebody labels one or three pictures of each class. Is that better spent on adaptation, or is training on them
enough?
"""

# %%
# ``split="shots"`` sets the same pictures apart for all, so that every run is tested on the same ones.
import matplotlib.pyplot as plt

import dalib

shots, rows = (1, 2, 3), {}
for name in ("joint", "mme"):
    rows[name] = [
        dalib.fit(
            "mini_office",
            "amazon",
            "webcam",
            name,
            protocol={"name": "semi_supervised", "split": "shots", "shots": n},
        ).values["target, test"]
        for n in shots
    ]
none = dalib.fit("mini_office", "amazon", "webcam", "source_only").values["target"]
print(f"no label: {none:.1%}", {name: [f"{v:.1%}" for v in values] for name, values in rows.items()})

# %%
# ``joint`` trains on source and labelled target rows together; ``mme`` also plays its game of entropy on the
# unlabelled ones.
figure, panel = plt.subplots(figsize=(6, 3.6), layout="constrained")
for (name, values), mark in zip(rows.items(), "os", strict=True):
    panel.plot(shots, [100 * v for v in values], marker=mark, label=name)
panel.axhline(100 * none, color="grey", linestyle=":", label="source_only, no label")
panel.set(xlabel="labelled target pictures per class", ylabel="target accuracy in %", xticks=shots)
panel.legend(frameon=False)
