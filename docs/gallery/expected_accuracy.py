"""
How good will it be where nobody labels?
========================================

From what a model says of held-out source rows and of the target's, ``dalib.expect`` estimates its accuracy
there, with an interval.
"""

# %%
# One model per target. The true accuracy is known here, for the data are labelled; the estimate does not look
# at it.
import matplotlib.pyplot as plt

import dalib

rows = []
for source, target in (("amazon", "webcam"), ("amazon", "dslr"), ("webcam", "amazon"), ("webcam", "dslr")):
    run = dalib.fit("mini_office", source, target, "source_only")
    told = dalib.expect(run.fitted, run.task.target)
    rows.append((f"{source} → {target}", told, run.values["target"]))
    print(f"{source} → {target}: expected {told}, true {run.values['target']:.1%}")

# %%
figure, panel = plt.subplots(figsize=(7, 3), layout="constrained")
for y, (_, told, true) in enumerate(rows):
    panel.plot([100 * told.low, 100 * told.high], [y, y], color="#0072b2", linewidth=2)
    panel.plot(100 * told.value, y, "o", color="#0072b2", label="expected, with its interval" if not y else None)
    panel.plot(100 * true, y, "D", color="#c44e00", label="true" if not y else None)
panel.set(yticks=range(len(rows)), yticklabels=[name for name, _, _ in rows], xlabel="target accuracy in %")
panel.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
