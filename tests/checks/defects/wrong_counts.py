"""Defect: counts name a domain that is not declared, and a class occurs twice."""

from dalib.core.dataset import DatasetInfo

DATASET = DatasetInfo(
    name="wrong_counts",
    title="A declaration at odds with itself",
    domains=("first", "second"),
    classes=("apple", "apple"),
    counts={"first": 3, "third": 4},
    source="a test",
    licence="none",
)
