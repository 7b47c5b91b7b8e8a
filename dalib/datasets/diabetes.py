"""Progression of diabetes in a year of two groups of patients, from nine measurements; the table of scikit-learn."""

from dalib.core.dataset import DatasetInfo

DATASET = DatasetInfo(
    name="diabetes",
    title="Diabetes progression in a year, 442 patients in two groups (by sex, as coded), nine measurements each",
    kind="features",
    domains=("group1", "group2"),
    classes=("progression",),
    counts={"group1": 235, "group2": 207},
    source="scikit-learn's sklearn.datasets.load_diabetes, which ships it (leave the root out)",
    licence="as scikit-learn distributes it",
    paper="efron2004least",
    objective="regression",
    generator="dalib.datasets._tables:write_diabetes",
)
