"""The order of the examples in the gallery: sphinx-gallery asks for a key per file."""

from __future__ import annotations

ORDER = (
    "first_run",
    "own_images",
    "own_loop",
    "own_algorithm",
    "report",
    "choosing_a_model",
    "expected_accuracy",
    "few_labels",
    "source_free",
    "arrays",
    "label_shift",
    "time_series",
    "regression",
    "segmentation",
)


class GalleryOrder:
    """`within_subsection_order` of sphinx-gallery."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, name: str) -> int:
        return ORDER.index(name.removesuffix(".py"))
