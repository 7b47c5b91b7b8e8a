"""What sort of data a path holds, by its files' names."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from dalib.core.dataset import DatasetInfo
from dalib.core.errors import DalibError
from dalib.core.registry import DATASETS
from dalib.data.answered import holds_tables
from dalib.data.box_layouts import is_box_folder
from dalib.data.scenes import is_scene_folder

FOLDERS = {"segmentation": "mask_folder", "detection": "box_folder"}
"""Objective -> the data set that reads a folder of such answers; of all others it is `image_folder`."""


def find_answers_in(root: str | Path) -> tuple[str, ...]:
    """What the labels of a folder's or an archive's pictures may be: `segmentation`, `detection`, and, of a table
    beside boxes, `regression` or `multilabel`; nothing where pictures lie in class folders, or in none.
    """
    seen = [name for name, holds in (("segmentation", is_scene_folder), ("detection", is_box_folder)) if holds(root)]
    table = holds_tables(root) if seen == ["detection"] else ""
    return (*seen, *filter(None, [table]))


def guess_dataset(root: str | Path, objective: str = "") -> str:
    """What reads a path: `features`, `mask_folder`, `box_folder` or `image_folder`.

    Args
        objective: what is wanted of a folder with answers of several sorts; empty: masks before boxes
    Raises
        DalibError: boxes and a table of answers, where it is not said which is meant
    """
    if Path(root).suffix == ".npz":
        return "features"
    seen = find_answers_in(root)
    if objective in seen:
        return FOLDERS.get(objective, "image_folder")
    if seen[:1] == ("detection",) and len(seen) > 1:
        raise DalibError(
            f"{root} can be read in two ways: its pictures have boxes (dataset box_folder), or a table of answers for "
            f"{seen[1]} (dataset image_folder); name one, or take the other out"
        )
    return FOLDERS[seen[0]] if seen else "image_folder"


def find_declaration(dataset: str) -> DatasetInfo:
    """The declaration that a data set's name stands for; `features:PATH` is of `features`.

    Raises
        DalibError: no such name; a path in its place, with the name that reads what lies there
    """
    name, path = dataset.partition(":")[0], Path(dataset).expanduser()
    if name in DATASETS or not path.exists():
        return DATASETS.get(name)
    if path.suffix == ".npz":
        how = f"features:{dataset}"
    elif path.is_dir() or path.suffix == ".zip":
        how = f"{guess_dataset(path)} --data-root {quote(dataset)} (root=…)"
    else:
        raise DalibError(
            f"'{dataset}' is a file, not the name of a dataset; make an .npz of it: dalib data pack --help"
        )
    raise DalibError(f"'{dataset}' is a path, not the name of a dataset; give --dataset (dataset=…) {how}")
