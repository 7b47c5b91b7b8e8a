"""What lies at a path, whatever it is: a folder or zip of images, a file of rows, a data set's name."""

from __future__ import annotations

from pathlib import Path

from dalib.advice.features import open_features
from dalib.advice.images import MEASURES, open_images
from dalib.advice.material import Material, Options
from dalib.advice.rows import open_arrays
from dalib.core.errors import DalibError, suggest
from dalib.core.objective import refuse_answers
from dalib.core.registry import DATASETS
from dalib.data.recognise import FOLDERS, find_answers_in
from dalib.data.roots import find_root


def open_material(path: str, options: Options) -> Material:
    """Open `path`: a folder or zip of images, a feature file (`features:` may precede it) or the name of a data set.

    Raises
        DalibError: nothing there, not of a known layout, answers that are no classes, an unreadable image, a backbone
            that does not load
    """
    if path.startswith("features:") or path.endswith(".npz"):
        return open_features(path.removeprefix("features:"), options)
    if options.normalise:
        steps = ",".join(options.normalise)
        raise DalibError(f"{path} holds images; --normalise {steps} (normalise=…) is for feature data only")
    where = Path(path).expanduser()
    seen = find_answers_in(where) if where.exists() else ()
    if len(seen) > 1:
        ways = " or ".join(f"{name} (dataset {FOLDERS.get(name, 'image_folder')})" for name in seen)
        raise DalibError(
            f"{path} has labels for {ways}, and the measures of dalib advise compare classes; give data whose labels "
            "are classes, or train on these as the data set that you mean"
        )
    if seen:
        refuse_answers(seen[0], path, "the measures of dalib advise")
    if path in DATASETS and DATASETS.get(path).kind in ("masks", "boxes"):
        refuse_answers(DATASETS.get(path).objective, path, "the measures of dalib advise")
    if where.exists():
        return open_images(DATASETS.get("image_folder"), where, where, options)
    own = ("image_folder", "features")
    if path in DATASETS and path not in own:
        info = DATASETS.get(path)
        refuse_answers(info.objective, path, MEASURES)
        root = find_root(info, options.data_root, options.report)
        return (
            open_images(info, root, options.data_root, options)
            if info.kind == "images"
            else open_arrays(info, root, options)
        )
    raise DalibError(
        f"no data at {path}; give a folder or .zip of domain/class/image, a feature file .npz, or a data set's name"
        f"{'' if path in own else suggest(path, DATASETS.names())}"
    )
