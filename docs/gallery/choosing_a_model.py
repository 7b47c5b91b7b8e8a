"""
Which model to keep, without target labels
==========================================

Runs are looked at several times while they train. A *validator* scores each look without a target label; the
model with the best score is kept.
"""

# %%
# Two methods, two seeds, eight looks each. A suite keeps all of it: looks, scores, settings.
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

import dalib
from dalib.records.store import Store

suite = dalib.Suite(
    name="choosing",
    dataset="mini_office",
    tasks=["amazon->webcam"],
    seeds=[0, 1],
    backbone={"name": "tiny", "weights": "pretrained", "frozen": True},
    train={"evaluations": 8},
    validators=["source_accuracy", "information_maximisation", "ami"],
    algorithms={"source_only": {}, "mcc": {}},
)
store = Path(tempfile.mkdtemp())
dalib.run_suite(suite, store=store, jobs=1)

# %%
# The same runs, read by three rules. ``oracle`` looks at target labels: an upper bound, never a choice.
for rule in ("last", "information_maximisation", "oracle"):
    table = dalib.table(suite, store=store, select=rule)
    print(rule, {row.label: f"{row.average.mean:.1%}" for row in table.rows})

# %%
# How the accuracy went. Scores of the looks are in the records.
records = [record for record in Store(store).records() if record.spec.seed == 0]
figure, panel = plt.subplots(figsize=(6, 3.6), layout="constrained")
dalib.plots.curves({record.spec.algorithm: record for record in records}, panel, metric="target_accuracy")
