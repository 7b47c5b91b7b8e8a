"""Which reader packs which files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dalib.core.errors import DalibError
from dalib.core.registry import DATASETS
from dalib.data.arrays import load_arrays
from dalib.data.hubs import HUB, arrays_of_hf
from dalib.data.newsgroups import PARTS, arrays_of_newsgroups
from dalib.data.packing import Arrays, arrays_of_mat, arrays_of_tables, pack, write_checked
from dalib.data.shared_formats import DIGIT_FIVE, arrays_of_adatime, arrays_of_digit_five, arrays_of_webdataset


@dataclass(frozen=True)
class Packed:
    """What was written: domain -> rows, with labels and without, the number of classes, the data set to ask for, and
    what there is to say of it.
    """

    labelled: dict[str, int]
    unlabelled: dict[str, int]
    classes: int
    dataset: str
    remarks: tuple[str, ...] = ()


def pack_files(
    files: Sequence[str | Path], out: str | Path, domain: str = "", label: str = "", one_hot: bool = False,
    image: str = "", resize: int = 0,
) -> Packed:  # fmt: skip
    """`arrays_of_files` written to one file, and read back; Digit-Five's becomes a file of images, others of features.

    Raises
        DalibError: what cannot be read; nothing is written then
    """
    if len(files) == 1 and (Path(files[0]) / DIGIT_FIVE[0]).is_file():
        digits: Sequence[str] = DATASETS.get("digit_five").domains
        images = write_checked(arrays_of_digit_five(files[0]), out, lambda path: load_arrays(path, digits))
        return Packed({d: len(y) for d, y in images.y.items()}, {}, 10, f"digit_five {'--data-root'} {out}")
    made = pack(arrays_of_files(files, domain, label, one_hot, image, resize), out)
    return Packed(
        {d: len(y) for d, y in made.y.items()}, made.unlabelled, len(made.classes), f"features:{out}", made.remarks
    )


def arrays_of_files(
    files: Sequence[str | Path], domain: str = "", label: str = "", one_hot: bool = False, image: str = "",
    resize: int = 0,
) -> Arrays:  # fmt: skip
    """Files of any kind that is packed here, told by their names; `dalib data pack`.

    Args
        files: tables, .mat files, WebDataset tars (a domain each), one `hf:NAME@revision`, or one folder of AdaTime's
            .pt files, of Digit-Five's .mat files or of 20 Newsgroups
        domain, label, image: names of columns, of tables and Hugging Face sets
        one_hot: as of `arrays_of_frame`
        resize: side in pixels to which pictures are warped
    Raises
        DalibError: files of several kinds, or what the reader of the kind refuses
    """
    names = [str(f) for f in files]
    if any(name.startswith(HUB) for name in names):
        if len(names) > 1:
            raise DalibError(
                f"{names[0]} is a data set by itself; give it alone, its domains by --domain COLUMN (domain=…)"
            )
        return arrays_of_hf(names[0], domain, label, image, resize)
    paths = [Path(f).expanduser() for f in files]
    if len(paths) == 1 and paths[0].is_dir():
        return arrays_of_folder(paths[0])
    kinds = {"mat" if p.suffix == ".mat" else "tar" if p.suffix == ".tar" else "table" for p in paths}
    if len(kinds) > 1:
        raise DalibError(f"give files of one kind at once, not {' and '.join(sorted(kinds))}")
    if kinds == {"tar"}:
        return arrays_of_webdataset(paths, resize)
    return arrays_of_mat(paths) if kinds == {"mat"} else arrays_of_tables(paths, domain, label, one_hot)


def arrays_of_folder(folder: Path) -> Arrays:
    """A folder of AdaTime's (train_0.pt, test_0.pt …) or Digit-Five's files, or of 20 Newsgroups' two.

    Raises
        DalibError: none of them
    """
    if (folder / DIGIT_FIVE[0]).is_file():
        return arrays_of_digit_five(folder)
    if (folder / PARTS[0]).is_dir():
        return arrays_of_newsgroups(folder)
    if any(folder.glob("train_*.pt")):
        return arrays_of_adatime(folder)
    raise DalibError(
        f"{folder} is a folder of neither train_0.pt, test_0.pt … (AdaTime) nor {DIGIT_FIVE[0]} … (Digit-Five) nor "
        f"{PARTS[0]} (20 Newsgroups); give tables or .mat files by their names; images in folders need no packing"
    )
