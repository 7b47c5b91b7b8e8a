"""
Compare methods, and make a page of it
======================================

A suite is rows × tasks × seeds. Its records give the table, the intervals, and one page that can be sent to
anybody.
"""

# %%
# Solved methods take no steps, so this suite is quick.
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

import dalib
from dalib.report.render import render

suite = dalib.Suite(
    name="compare",
    dataset="mini_office",
    tasks=["amazon->webcam", "dslr->webcam", "webcam->amazon"],
    seeds=[0, 1],
    backbone={"name": "tiny", "weights": "pretrained", "frozen": True},
    baseline="linear_probe",
    algorithms={name: {} for name in ("linear_probe", "nearest_neighbour", "coral", "ot_map", "pca_map")},
)
folder = Path(tempfile.mkdtemp())
dalib.run_suite(suite, store=folder / "runs", jobs=1)
print(render(dalib.table(suite, store=folder / "runs"), "md"))

# %%
# Intervals over seeds, and whether the ranks differ.
summary = dalib.table(suite, "summary", store=folder / "runs")
figure, panels = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
dalib.plots.intervals(summary, panels[0], differences=True)
dalib.plots.critical_difference(summary, panels[1])

# %%
# Everything on one page: sortable table, curves, confusions, feature maps, the pictures that a method fixed and
# broke.
page = dalib.write_page(suite, folder / "page", store=folder / "runs")
print(page.name, f"{page.stat().st_size / 1e6:.1f} MB")
