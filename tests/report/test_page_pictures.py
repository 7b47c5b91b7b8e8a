"""Pictures that rows fixed and broke: which rows of the data they are, and what is said without."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dalib.data.catalog import load_data
from dalib.data.tasks import make_task
from dalib.records.store import Store
from dalib.report.page import pictures
from dalib.report.page.content import build_content
from dalib.report.page.write import render_page, write_page
from tests.support.image_sets import encode
from tests.support.page_pictures import CLASSES, SOURCE, TARGET, fill_store, keep, make_pictures, shade, spec
from tests.support.report_shelf import Shelf


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_pictures(tmp_path / "data")


@pytest.fixture
def suite(root: Path, tmp_path: Path) -> Store:
    store = Store(tmp_path / "runs")
    fill_store(store, root)
    return store


def shade_of(uri: str) -> int:
    """To the nearest one, for JPEG changes a grey by one."""
    kind, _, text = uri.partition(",")
    assert kind == "data:image/jpeg;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(text)))
    assert picture.size == (40, 20), "as it lies on the disk: not warped, and not blown up"
    known = np.array([shade(domain, k, i) for domain in (SOURCE, TARGET) for k in range(3) for i in range(8)])
    return int(known[np.abs(known - np.asarray(picture).mean()).argmin()])


def test_pictures_are_those_that_the_row_fixed_broke_and_missed(suite: Store, root: Path) -> None:
    told = build_content(suite, "toy", data_root=root)["pictures"]
    (place,) = told["places"]
    assert place["counts"] == [6, 2, 3] and place["n"] == 24
    domain = load_data("image_folder", root).domain(TARGET, 8)
    expected = {"fixed": range(6), "broken": (22, 23), "missed": range(6, 9)}
    for k, kind in enumerate(pictures.KINDS):
        shots = [shot for shot in place["pictures"] if shot[0] == k]
        files = [domain.files[i] for i in expected[kind]]
        wanted = sorted(shade(TARGET, CLASSES.index(f.split("/")[1]), int(f[-6:-4])) for f in files)
        assert sorted(shade_of(told["pool"][shot[1]]) for shot in shots) == wanted, kind
        for _, _, truth, before, after in shots:
            assert (before != truth, after != truth) == ((k != 1), (k != 0))
    assert {shot[2] for shot in place["pictures"] if shot[0] == 1} == {"fox"}


def test_one_of_each_class_is_shown_first(root: Path, tmp_path: Path) -> None:
    store, shelf = Store(tmp_path / "runs"), Shelf(baseline="source_only", dataset="image_folder")
    y = np.repeat(np.arange(3), 8)
    keep(store, shelf, "source_only", spec(root, "source_only"), y, (y + 1) % 3)
    keep(store, shelf, "better", spec(root, "better"), y, y)
    (place,) = build_content(store, "toy", data_root=root, pictures=4)["pictures"]["places"]
    assert [shot[2] for shot in place["pictures"]] == [*CLASSES, CLASSES[0]]


def test_names_of_classes_stay_text(suite: Store, root: Path) -> None:
    page = render_page(build_content(suite, "toy", data_root=root))
    assert "<b>" not in page and "cat \\u003cb\\u003e" in page


def test_the_page_holds_no_more_than_it_may(suite: Store, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = build_content(suite, "toy", data_root=root, pictures=4)["pictures"]
    assert len(few["pool"]) == 4 and {shot[0] for shot in few["places"][0]["pictures"]} == {0, 1, 2}, "each kind first"
    monkeypatch.setattr("dalib.report.page.content.PICTURE_BYTES", 1500)
    small = build_content(suite, "toy", data_root=root)["pictures"]
    assert 0 < sum(map(len, small["pool"])) <= 1500
    assert build_content(suite, "toy", data_root=root, pictures=0)["pictures"].keys() == {"why"}


def test_nothing_is_shown_that_may_be_another_picture(suite: Store, root: Path, tmp_path: Path) -> None:
    def why(where: Path) -> str:
        return str(build_content(suite, "toy", data_root=where)["pictures"]["why"])

    assert "not at hand: no data for image_folder" in why(tmp_path / "nowhere")
    (root / TARGET / "dog" / "99.png").write_bytes(encode(Image.new("RGB", (9, 9)), "PNG"))
    assert "another fingerprint" in why(root)


def test_labels_in_another_order_are_noticed(root: Path, tmp_path: Path) -> None:
    store, shelf = Store(tmp_path / "runs"), Shelf(baseline="source_only", dataset="image_folder")
    run = spec(root, "source_only")
    y = make_task(load_data("image_folder", root), SOURCE, TARGET, run.protocol, seed=0, resize=8).test.labels
    for label in ("source_only", "better"):
        keep(store, shelf, label, spec(root, label), y[::-1].copy(), y)
    assert "not those of the data in this order" in build_content(store, "toy", data_root=root)["pictures"]["why"]


@pytest.mark.parametrize("seed", [0, 3])
def test_rows_tested_on_other_pictures_are_compared_on_those_of_both(seed: int, root: Path, tmp_path: Path) -> None:
    from dalib.core.protocol import ProtocolSpec

    store, shelf = Store(tmp_path / "runs"), Shelf(baseline="source_only", dataset="image_folder")
    few = ProtocolSpec(name="semi_supervised", shots=2, split="shots")
    data = load_data("image_folder", root)
    for label, protocol in (("source_only", ProtocolSpec()), ("few", few)):
        run = spec(root, label, protocol=protocol, seed=seed)
        y = make_task(data, SOURCE, TARGET, protocol, seed=seed, resize=8).test.labels
        keep(store, shelf, label, run, y, y if label == "few" else (y + 1) % 3)
    (place,) = build_content(store, "toy", data_root=root)["pictures"]["places"]
    assert place["n"] == 18 and place["counts"] == [18, 0, 0]
    kept = make_task(data, SOURCE, TARGET, few, seed=seed, resize=8).test.files
    wanted = {shade(TARGET, CLASSES.index(f.split("/")[1]), int(f[-6:-4])) for f in kept}
    pool = build_content(store, "toy", data_root=root)["pictures"]["pool"]
    assert {shade_of(uri) for uri in pool} <= wanted
    for _, number, truth, _, _ in place["pictures"]:
        assert (shade_of(pool[number]) - 20) // 70 == CLASSES.index(truth), "the picture of that row, not another"


def test_records_without_outputs_say_so(shelf: Shelf, tmp_path: Path) -> None:
    told = build_content(shelf, "toy")["pictures"]
    assert told.keys() == {"why"} and "needs the outputs of the runs" in told["why"]
    shelf.toy.baseline = ""
    assert "no baseline" in build_content(shelf, "toy")["pictures"]["why"]
    assert "no baseline" in write_page("toy", tmp_path, records=shelf).read_text(encoding="utf-8")


def test_numbered_rows_decode_nothing_and_pictures_are_read_one_by_one(root: Path, tmp_path: Path) -> None:
    data = load_data("image_folder", root)
    task = make_task(data.numbered(), SOURCE, TARGET, seed=3)
    (root / TARGET / "dog" / "00.png").write_bytes(b"no picture")
    broken = load_data("image_folder", root)
    assert len(make_task(broken.numbered(), SOURCE, TARGET).test) == 24
    whole = make_task(data, SOURCE, TARGET, seed=3, resize=8)
    assert task.test.files == whole.test.files and np.array_equal(task.labelled.labels, whole.labelled.labels)
    first = int(np.asarray(task.labelled.x)[0, 0])
    assert data.domain(SOURCE, 8).files[first] == task.labelled.files[0]


def test_arrays_of_pictures_are_shown_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    content: dict[str, np.ndarray] = {}
    for part, n in (("mnist", 20), ("usps_train", 11), ("usps_test", 9)):
        content |= {f"{part}_x": rng.integers(0, 255, (n, 16, 16), dtype=np.uint8), f"{part}_y": np.arange(n) % 10}
    np.savez(tmp_path / "digits.npz", **content)  # type: ignore[arg-type]
    data = load_data("digits", tmp_path / "digits.npz", partial=True)
    task = make_task(data.numbered(), "mnist", "usps")
    for row, y in zip(np.asarray(task.test.x)[:, 0], task.test.labels, strict=True):
        part, at = ("usps_train", int(row)) if row < 11 else ("usps_test", int(row) - 11)
        assert np.array_equal(np.asarray(data.picture("usps", int(row)))[..., 0], content[f"{part}_x"][at])
        assert content[f"{part}_y"][at] == y
