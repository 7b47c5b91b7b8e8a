"""Every layout that people have is read as the same domains, classes and files."""

from __future__ import annotations

import os
import pickle
import zipfile
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dalib.core.errors import DalibError
from dalib.data import folders
from dalib.data.catalog import load_data
from dalib.data.folders import ImageTree
from dalib.data.listing import UNKNOWN
from dalib.data.tasks import make_task
from dalib.data.verify import verify_root
from tests.support.image_sets import TWO_DOMAINS, members, png, write_folder, write_zip

CONTENT = members(TWO_DOMAINS)
LAYOUTS = {
    "plain": CONTENT,
    "images between": members(TWO_DOMAINS, "images/"),
    "wrapped": {f"office/{k}": v for k, v in CONTENT.items()},
    "wrapped and images between": {f"Original_images/{k}": v for k, v in members(TWO_DOMAINS, "images/").items()},
    "wrapped in a folder named images": {f"images/{k}": v for k, v in CONTENT.items()},
    "with rubbish": {
        **CONTENT,
        "__MACOSX/photo/cat/._000.png": b"x",
        ".git/photo/cat/000.png": b"x",
        "photo/cat/.hidden.png": b"x",
        "photo/cat/Thumbs.db": b"x",
        "photo/notes.txt": b"x",
        "README.png": png(99),
    },
}


@pytest.mark.parametrize("content", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("write", [write_folder, write_zip])
def test_every_layout_gives_the_same_tree(content: dict[str, bytes], write: object, tmp_path: Path) -> None:
    tree = ImageTree(write(tmp_path / "root.zip", content))  # type: ignore[operator]
    assert tree.counts() == TWO_DOMAINS
    assert [(f.domain, f.cls, f.name) for f in tree.files] == sorted(tuple(k.split("/")) for k in CONTENT)
    assert [tree.read(f.member) for f in tree.files] == [CONTENT[k] for k in sorted(CONTENT)]
    assert tree.fingerprint() == ImageTree(write_zip(tmp_path / "reference.zip", CONTENT)).fingerprint()


def test_suffixes_are_read_in_any_case_and_other_files_ignored(tmp_path: Path) -> None:
    names = ["a.JPG", "b.jpeg", "c.Png", "d.BMP", "e.webp", "f.gif", "g.TIFF", "h.jfif", "i.txt"]
    tree = ImageTree(write_folder(tmp_path, {f"d/c/{n}": b"x" for n in names}))
    assert [f.name for f in tree.files] == names[:8] and tree.left_out == {"d/c/i.txt": UNKNOWN}


def test_one_domain_with_one_class_needs_no_wrapping_folder(tmp_path: Path) -> None:
    tree = ImageTree(write_folder(tmp_path, {"photo/cat/1.png": b"x", "photo/cat/2.png": b"x"}))
    assert tree.counts() == {"photo": {"cat": 2}}


def test_folders_inside_a_class_belong_to_the_class(tmp_path: Path) -> None:
    tree = ImageTree(write_folder(tmp_path, {**CONTENT, "photo/cat/more/x.png": b"x"}))
    assert tree.counts()["photo"]["cat"] == 7 and "photo/cat/more/x.png" in [f.member for f in tree.files]


def test_empty_class_folders_and_strays_are_known(tmp_path: Path) -> None:
    write_folder(tmp_path, {**CONTENT, "photo/bird/readme.txt": b"x", "photo/lost.png": b"x"})
    tree = ImageTree(tmp_path)
    assert tree.empty == (("photo", "bird"),) and tree.strays == ("photo/lost.png",)
    assert tree.counts()["photo"] == {"bird": 0, "cat": 6, "dog": 5}


def test_a_fingerprint_follows_names_and_bytes_of_its_domains(tmp_path: Path) -> None:
    tree = ImageTree(write_folder(tmp_path, CONTENT))
    all_before, photo, sketch = tree.fingerprint(), tree.fingerprint("photo"), tree.fingerprint("sketch")
    assert ImageTree(tmp_path).fingerprint() == all_before and len({all_before, photo, sketch}) == 3
    path = tmp_path / "photo/cat/000.png"
    path.write_bytes(bytes(reversed(CONTENT["photo/cat/000.png"])))
    os.utime(path, ns=(1, 1))
    changed = ImageTree(tmp_path)
    assert changed.fingerprint("photo") != photo and changed.fingerprint("sketch") == sketch
    path.rename(path.with_name("renamed.png"))
    assert ImageTree(tmp_path).fingerprint("photo") not in (photo, changed.fingerprint("photo"))


def test_checksums_are_computed_once_per_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_RACY", 0)
    before = ImageTree(write_folder(tmp_path, CONTENT)).fingerprint()
    monkeypatch.setattr(ImageTree, "read", lambda self, member: pytest.fail(f"{member} was read again"))
    assert ImageTree(tmp_path).fingerprint() == before


def test_files_that_swap_places_change_the_fingerprint(tmp_path: Path) -> None:
    """`mv` keeps size and time, and the first reading remembers checksums."""
    write_folder(tmp_path, {f"d/{c}/{i}.bmp": f"{c}{i}".encode() for c in ("ant", "bee") for i in range(4)})
    files = sorted(tmp_path.rglob("*.bmp"))
    for path in files:
        os.utime(path, (1_700_000_000, 1_700_000_000))
    before = ImageTree(tmp_path).fingerprint()
    for a, b in zip(files[:4], files[4:], strict=True):
        a.rename(tmp_path / "aside"), b.rename(a), (tmp_path / "aside").rename(b)
    assert ImageTree(tmp_path).fingerprint() != before


def test_a_file_written_over_with_its_old_size_and_time_is_seen(tmp_path: Path) -> None:
    write_folder(tmp_path, {"d/c/1.png": b"old", "d/c/2.png": b"two"})
    path = tmp_path / "d/c/1.png"
    before, stat = ImageTree(tmp_path).fingerprint(), path.stat()
    path.write_bytes(b"new")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert ImageTree(tmp_path).fingerprint() != before


def test_no_flip_in_the_remembered_checksums_changes_a_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DALIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(folders, "_RACY", 0)
    root = write_folder(tmp_path / "root", {"d/c/1.png": b"one", "d/c/2.png": b"two"})
    right, rng = ImageTree(root).fingerprint(), np.random.default_rng(0)
    (memo,) = (tmp_path / "cache").rglob("*.json")
    sound = memo.read_bytes()
    for _ in range(200):
        damaged = bytearray(sound)
        damaged[rng.integers(len(damaged))] ^= 1 << int(rng.integers(8))
        memo.write_bytes(damaged)
        assert ImageTree(root).fingerprint() == right


def test_an_image_that_changes_after_its_checksum_is_refused_not_decoded_under_the_old_one(tmp_path: Path) -> None:
    tree = ImageTree(write_folder(tmp_path, {"d/c/1.png": b"one"}))
    assert tree.checksums
    (tmp_path / "d/c/1.png").write_bytes(b"two")
    with pytest.raises(DalibError, match="changed meanwhile"):
        tree.read_sound("d/c/1.png")


def test_a_zip_can_be_read_by_threads_and_by_a_forked_or_pickled_copy(tmp_path: Path) -> None:
    tree = ImageTree(write_zip(tmp_path / "root.zip", CONTENT))
    expected = [CONTENT[f.member] for f in tree.files]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            assert list(pool.map(tree.read, [f.member for f in tree.files])) == expected
    copy = pickle.loads(pickle.dumps(tree))
    assert [copy.read(f.member) for f in copy.files] == expected
    child = os.fork()
    if child == 0:
        os._exit(0 if [tree.read(f.member) for f in tree.files] == expected else 1)
    assert [tree.read(f.member) for f in tree.files] == expected
    assert os.waitpid(child, 0)[1] == 0


def test_a_root_without_class_folders_says_what_is_expected(tmp_path: Path) -> None:
    write_folder(tmp_path / "flat", {"cat/1.png": b"x", "dog/1.png": b"x"})
    write_zip(tmp_path / "zips" / "a.zip", CONTENT)
    (tmp_path / "broken.zip").write_bytes(b"PK no")
    (tmp_path / "empty").mkdir()
    with zipfile.ZipFile(tmp_path / "nothing.zip", "w"):
        pass
    for name, words in {
        "flat": "give the folder above it",
        "zips": "it holds a.zip",
        "broken.zip": "not a readable zip",
        "empty": "domain/class/image.jpg",
        "nothing.zip": "domain/class/image.jpg",
        "absent": "no data at",
    }.items():
        with pytest.raises(DalibError, match=words):
            ImageTree(tmp_path / name)


def nested(form: str, outer: tuple[str, ...]) -> dict[str, bytes]:
    """Every picture of domain x class in each of the outer folders, at the place that the form gives it."""
    every = product(("src", "tgt"), outer, ("ant", "bee"), "12")
    places = [form.format(d=d, o=o, c=c, i=i) for d, o, c, i in every]
    return {place: png(k) for k, place in enumerate(places)}


@pytest.mark.parametrize(
    ("form", "outer"),
    [
        ("{d}/{o}/{c}/{i}.png", ("train", "test")),
        ("{d}/{o}/{c}/{i}.png", ("Training", "Validation")),
        ("{o}/{d}/{c}/{i}.png", ("train", "test")),
        ("{o}/{d}/{c}/{i}.png", ("val", "train")),
        ("{d}/{o}/{c}/{i}.png", ("animals", "more")),
        ("{d}/{c}/{o}/{i}.png", ("day1", "day2")),
    ],
)
def test_a_level_too_many_is_refused_with_the_readings(form: str, outer: tuple[str, ...], tmp_path: Path) -> None:
    root = write_folder(tmp_path, nested(form, outer))
    with pytest.raises(DalibError, match="lie deeper than domain/class/image") as refused:
        load_data("image_folder", root)
    assert all(word in str(refused.value) for word in (outer[0], "ant"))
    assert [f.kind for f in verify_root(root) if f.kind == "levels"] == ["levels"]


def test_folders_in_class_folders_are_joined_where_that_is_asked_for(tmp_path: Path) -> None:
    data = load_data(
        "image_folder", write_folder(tmp_path, nested("{d}/{c}/{o}/{i}.png", ("day1", "day2"))), partial=True
    )
    assert data.classes == ("ant", "bee") and data.counts == {"src": 8, "tgt": 8} and "lie deeper" in data.note


def test_a_most_usual_depth_is_not_taken_for_a_folder_around_the_domains(tmp_path: Path) -> None:
    write_folder(tmp_path, {f"src/train/{c}/{i}.png": png(i) for c in ("ant", "bee") for i in range(9)})
    write_folder(tmp_path, {f"tgt/{c}/{i}.png": png(50 + i) for c in ("ant", "bee") for i in range(3)})
    with pytest.raises(DalibError, match=r"two ways.*'src' and 'tgt' are domains"):
        ImageTree(tmp_path)


@pytest.mark.parametrize("name", ["cafe\u0301", "caf\u00e9 ", " caf\u00e9"])
def test_class_names_that_look_the_same_are_the_same(name: str, tmp_path: Path) -> None:
    content = {f"src/caf\u00e9/{i}.png": png(int(i)) for i in "12"} | {f"tgt/{name}/{i}.png": png(9) for i in "12"}
    data = load_data(
        "image_folder", write_folder(tmp_path, {**content, "src/ant/1.png": png(1), "tgt/ant/1.png": png(2)})
    )
    assert data.classes == ("ant", "caf\u00e9") and not data.partial


@pytest.mark.parametrize("name", ["Bee", "BEE", "b-ee"])
def test_class_names_that_differ_in_case_are_pointed_out(name: str, tmp_path: Path) -> None:
    other = {"b-ee": "b ee"}.get(name, "bee")
    content = {
        f"src/{other}/1.png": png(1),
        f"tgt/{name}/1.png": png(2),
        "src/ant/1.png": png(3),
        "tgt/ant/1.png": png(4),
    }
    with pytest.raises(DalibError, match="differ in case or blanks only"):
        load_data("image_folder", write_folder(tmp_path, content))


def test_names_that_differ_in_signs_are_different_classes(tmp_path: Path) -> None:
    names = ("1.0", "2.0", "10.0", "c", "c++", "c#")
    content = {f"{d}/{c}/1.png": png(i) for i, (d, c) in enumerate((d, c) for d in ("s", "t") for c in names)}
    assert set(load_data("image_folder", write_folder(tmp_path, content)).classes) == set(names)


def test_an_empty_domain_is_found_and_named(tmp_path: Path) -> None:
    write_folder(tmp_path, CONTENT)
    (tmp_path / "clip/cat").mkdir(parents=True)
    assert ImageTree(tmp_path).vacant == ("clip",)
    assert [(f.kind, f.domain) for f in verify_root(tmp_path) if f.kind == "empty"] == [("empty", "clip")]
    with pytest.raises(DalibError, match=r"folder clip in .* holds no image"):
        load_data("image_folder", tmp_path).split("photo->clip")


@pytest.mark.parametrize("layout", ["tgt/{i}.png", "tgt/unlabelled/{i}.png"])
def test_a_domain_without_classes_is_an_unlabelled_target(layout: str, tmp_path: Path) -> None:
    content = {f"src/{c}/{i}.png": png(i) for c in ("ant", "bee") for i in range(4)}
    root = write_folder(tmp_path, {**content, **{layout.format(i=i): png(50 + i) for i in range(5)}})
    data = load_data("image_folder", root)
    assert data.domains == ("src",) and data.classes == ("ant", "bee") and data.unlabelled == {"tgt": 5}
    task = make_task(data, "src", "tgt", resize=4)
    assert len(task.target) == 5 and task.target.y is None and len(task.test) == 0 and task.classes == ("ant", "bee")
    with pytest.raises(DalibError, match="supervised needs labels of the target"):
        make_task(data, "src", "tgt", "supervised", resize=4)
    with pytest.raises(DalibError, match="a source needs them"):
        make_task(data, "tgt", "src", resize=4)


def test_any_folder_of_pictures_can_be_the_target(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "root", {f"src/{c}/{i}.png": png(i) for c in ("ant", "bee") for i in range(4)})
    other = write_folder(tmp_path / "new", {f"{k}/{i}.tif": png(i) for k in "ab" for i in range(3)})
    data = load_data("image_folder", root).with_target(str(other))
    task = make_task(data, "src", str(other), resize=4)
    assert len(task.target) == 6 and not len(task.test) and task.target.files[0] == "a/0.tif"
    with pytest.raises(DalibError, match="holds no images"):
        data.with_target(str(write_folder(tmp_path / "none", {"x.txt": b"x"})))


def test_one_labelled_domain_can_be_trained_on_and_tested(tmp_path: Path) -> None:
    data = load_data(
        "image_folder", write_folder(tmp_path, {f"all/{c}/{i}.png": png(i) for c in "ab" for i in range(6)})
    )
    task = make_task(data, "all", "all", "supervised", resize=4)
    assert len(task.labelled) + len(task.validation) + len(task.test) == 12 and len(task.test)
    with pytest.raises(DalibError, match="--protocol supervised"):
        make_task(data, "all", "all", resize=4)


def test_one_class_and_one_row_per_class_are_refused_with_the_reason(tmp_path: Path) -> None:
    one = load_data(
        "image_folder", write_folder(tmp_path / "1", {f"{d}/ant/{i}.png": png(int(i)) for d in "st" for i in "123"})
    )
    with pytest.raises(DalibError, match="all labelled rows are 'ant'"):
        make_task(one, "s", "t", resize=4)
    few = {f"{d}/{c}/{i}.png": png(1) for d in "st" for c in ("ant", "bee") for i in range(4 if d == "s" else 1)}
    with pytest.raises(DalibError, match="at least 2 rows of a class in 't'; the largest has 1"):
        make_task(load_data("image_folder", write_folder(tmp_path / "2", few)), "s", "t", "supervised", resize=4)


def test_black_pictures_and_mixed_depths_are_findings(tmp_path: Path) -> None:
    write_folder(tmp_path, CONTENT)
    Image.fromarray(np.zeros((12, 12, 3), np.uint8)).save(tmp_path / "photo/cat/black.png")
    for name, top in (("deep", 65535), ("shallow", 4095)):
        grey = np.linspace(0, top, 144).reshape(12, 12).astype(np.uint16)
        Image.fromarray(grey).save(tmp_path / f"photo/dog/{name}.png")
    kinds = [(f.kind, f.domain) for f in verify_root(tmp_path) if f.kind in ("blank", "depth")]
    assert sorted(kinds) == [("blank", "photo"), ("depth", "photo")]
