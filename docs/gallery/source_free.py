"""
A trained model, a new domain, no source
========================================

The pictures that a model was trained on are gone, or may not leave the house. The model and unlabelled pictures
of the new domain are enough.
"""

# %%
# Somebody else trained this one.
import matplotlib.pyplot as plt

import dalib

trained = dalib.fit("mini_office", "amazon", "webcam", "source_only")

# %%
# Three ways to make it fit. ``t3a`` and ``adabn`` train nothing.
results = {}
for name in ("t3a", "adabn", "shot"):
    adapted = dalib.adapt(trained.fitted, "mini_office", name, domain="webcam", train={"steps": 300})
    results[name] = adapted.values
    print(name, adapted.values)

# %%
figure, panel = plt.subplots(figsize=(6, 3.2), layout="constrained")
before = [v for k, v in results["shot"].items() if "before" in k]
panel.barh(
    ["as it was", *results], [100 * before[0], *(100 * max(v.values()) for v in results.values())], color="#0072b2"
)
panel.set(xlabel="target accuracy in %")
