"""Feature files: what is accepted, what is refused, and the published 1-NN figures from the real ones."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from dalib.core.errors import DalibError
from dalib.core.rows import RowShape
from dalib.data.catalog import load_data
from dalib.data.features import load_features
from dalib.data.normalise import normalise_features
from dalib.data.tasks import make_task

X, Y = np.arange(12.0).reshape(6, 2), np.array([0, 1, 2, 0, 1, 2])
GOOD = {"a_x": X, "a_y": Y, "b_x": X + 1, "b_y": Y}


def save(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)
    return path


def test_a_feature_file_gives_domains_in_file_order(tmp_path: Path) -> None:
    found = load_features(save(tmp_path / "f.npz", z_x=X, z_y=Y, b_x=X, b_y=Y, b_names=np.array(list("uvwxyz"))))
    assert list(found.x) == ["z", "b"] and found.classes == ("0", "1", "2")
    assert found.names == {"z": (), "b": ("u", "v", "w", "x", "y", "z")}
    assert found.counts() == {"z": {"0": 2, "1": 2, "2": 2}, "b": {"0": 2, "1": 2, "2": 2}}


def test_any_integers_are_labels_and_become_class_names(tmp_path: Path) -> None:
    found = load_features(
        save(tmp_path / "f.npz", a_x=X[:3], a_y=np.array([10, 3, 10]), b_x=X[:2], b_y=np.array([7.0, 3.0]))
    )
    assert found.classes == ("3", "7", "10")
    assert found.y["a"].tolist() == [2, 0, 2] and found.y["b"].tolist() == [1, 0]
    assert found.y["b"].dtype == np.int64


def test_class_names_and_scale_are_optional_keys(tmp_path: Path) -> None:
    path = save(tmp_path / "f.npz", **GOOD, classes=np.array(["x", "y", "z"]), a_scale=np.float64(0.5))
    data = load_data(f"features:{path}")
    assert data.classes == ("x", "y", "z") and data.kind == "features"
    np.testing.assert_array_equal(data.domain("a").x, (X * 0.5).astype(np.float32))
    np.testing.assert_array_equal(data.domain("b").x, (X + 1).astype(np.float32))


def test_rows_of_other_kinds_keep_their_shape_and_type(tmp_path: Path) -> None:
    series, ids = X.reshape(6, 1, 2), np.arange(18).reshape(6, 3)
    data = load_data(f"features:{save(tmp_path / 'f.npz', a_x=series, a_y=Y, b_x=series + 1, b_y=Y)}")
    assert data.domain("b").x.shape == (6, 1, 2) and data.domain("b").x.dtype == np.float32
    assert data.row_shape().shape == (1, 2) and not data.row_shape().ids
    data = load_data(f"features:{save(tmp_path / 'g.npz', a_x=ids, a_y=Y, b_x=ids + 4, b_y=Y)}")
    assert data.row_shape() == RowShape((3,), ids=22)


def test_modalities_become_one_structured_array(tmp_path: Path) -> None:
    ids = np.arange(18).reshape(6, 3)
    path = save(tmp_path / "f.npz", a_x_table=X, a_x_table_scale=np.float64(2), a_x_text=ids, a_y=Y)
    domain = load_data(f"features:{path}").domain("a")
    assert domain.x.dtype.names == ("table", "text") and len(domain) == 6
    np.testing.assert_array_equal(domain.take(np.array([4, 1]), "two").x["table"], 2 * X[[4, 1]].astype(np.float32))
    np.testing.assert_array_equal(domain.x["text"], ids)
    with pytest.raises(DalibError, match="not for several modalities"):
        load_data(f"features:{path}", normalise=["l2"]).domain("a")


nan, inf = X.copy(), X.copy()
nan[3, 1], inf[0, 0] = np.nan, np.inf
BAD = {
    "no domain": ({"features": X}, "no key <domain>_x"),
    "nothing": ({}, "no key <domain>_x"),
    "labels missing": ({"a_x": X}, "no a_y"),
    "rows missing": ({**GOOD, "c_y": Y}, "no c_x"),
    "labels too short": ({"a_x": X, "a_y": Y[:4]}, "a_x has 6 rows"),
    "names too short": ({**GOOD, "a_names": np.array(["u"])}, "a_names has shape"),
    "nan": ({"a_x": nan, "a_y": Y}, "NaN or infinity, first in row 3"),
    "inf": ({"a_x": inf, "a_y": Y}, "NaN or infinity, first in row 0"),
    "one axis": ({"a_x": X[:, 0], "a_y": Y}, r"shape \(6,\)"),
    "other shapes": ({**GOOD, "b_x": X.reshape(6, 1, 2)}, r"different widths .*a 2, b \(1, 2\)"),
    "other modalities": (
        {"a_x_u": X, "a_y": Y, "b_x_v": X, "b_y": Y},
        r"different widths .*a u \(2,\), b v \(2,\)",
    ),
    "modalities of other lengths": ({"a_x_u": X, "a_x_v": X[:4], "a_y": Y}, r"domain a: .*\(u 6, v 4\)"),
    "no rows": ({"a_x": X[:0], "a_y": Y[:0]}, r"shape \(0, 2\)"),
    "text rows": ({"a_x": X.astype(str), "a_y": Y}, "expected real numbers"),
    "widths": ({**GOOD, "b_x": X[:, :1]}, "different widths .*a 2, b 1"),
    "fractional labels": ({"a_x": X, "a_y": Y + 0.5}, "not integers"),
    "nan labels": ({"a_x": X, "a_y": np.where(Y == 0, np.nan, Y)}, "NaN in 2 of 6 rows, first in row 0"),
    "words here and numbers there": (
        {**GOOD, "b_y": GOOD["b_y"].astype(str)},
        "labels are whole numbers here and words there",
    ),
    "negative labels": ({"a_x": X, "a_y": Y - 1}, "negative label -1 in 2 of 6 rows"),
    "other negative labels": ({"a_x": X, "a_y": Y - 2}, "negative label -2"),
    "no label anywhere": ({"a_x": X, "a_y": 0 * Y - 1}, "no labelled domain .a_y hold -1 only."),
    "one-hot labels": ({"a_x": X, "a_y": np.eye(3)[Y]}, r"shape \(6, 3\)"),
    "labels without a word": (
        {"a_x": X, "a_y": np.array(["", "u", " "])[Y]},
        "a_y has no word in 4 of 6 rows, first in row 0; if that means 'no label'",
    ),
    "blanks apart": ({"a_x": X, "a_y": np.array(["u", "u ", "v"])[Y]}, "'u' and 'u ' are both 'u', but for blanks"),
    "accents apart": (
        {**GOOD, "a_y": np.array(["caf\u00e9", "u", "v"])[Y], "b_y": np.array(["cafe\u0301", "u", "v"])[GOOD["b_y"]]},
        r"'cafe\\u0301' and 'caf\\xe9' are both 'caf\u00e9'",
    ),
    "domains apart by blanks": (
        {**GOOD, "a _x": X, "a _y": Y},
        "'a' and 'a ' are both 'a', but for blanks .*domain alike",
    ),
    "a domain without a name": ({**GOOD, " _x": X, " _y": Y}, "a domain is called ' '"),
    "a class without a name": ({**GOOD, "classes": np.array(["x", " ", "y"])}, "a class is called ' '; give it a name"),
    "pickled": ({"a_x": X, "a_y": Y.astype(object)}, "Python objects"),
    "too few classes": ({**GOOD, "classes": np.array(["x"])}, "label 2 but classes names only 1"),
    "double classes": ({**GOOD, "classes": np.array(["x", "x", "y"])}, "distinct"),
    "bad scale": ({**GOOD, "a_scale": np.ones(2)}, "one finite number"),
}


@pytest.mark.parametrize(("arrays", "words"), BAD.values(), ids=BAD.keys())
def test_a_bad_feature_file_is_refused_with_its_reason(
    arrays: dict[str, np.ndarray], words: str, tmp_path: Path
) -> None:
    path = save(tmp_path / "f.npz", **arrays)
    with pytest.raises(DalibError, match=words) as caught:
        load_features(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 torn"])
def test_a_file_that_is_no_npz_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "f.npz").write_bytes(content)
    with pytest.raises(DalibError, match=r"cannot read feature file .*f\.npz"):
        load_features(tmp_path / "f.npz")


def test_a_lone_npy_array_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "f.npy", X)
    with pytest.raises(DalibError, match="cannot read feature file"):
        load_features(tmp_path / "f.npy")


def test_normalisation_steps_match_plain_loops() -> None:
    x = np.random.default_rng(0).integers(0, 9, (7, 4)).astype(np.uint8)
    x[2], x[:, 3] = 0, 5
    summed, unit, scored = np.zeros(x.shape), np.zeros(x.shape), np.zeros(x.shape)
    for i in range(7):
        total, length = sum(map(float, x[i])), sum(float(v) ** 2 for v in x[i]) ** 0.5
        for j in range(4):
            summed[i, j], unit[i, j] = float(x[i, j]) / total, float(x[i, j]) / length
    for j in range(4):
        mean = sum(map(float, x[:, j])) / 7
        std = (sum((float(v) - mean) ** 2 for v in x[:, j]) / 6) ** 0.5
        for i in range(7):
            scored[i, j] = (float(x[i, j]) - mean) / std if std else 0.0
    np.testing.assert_allclose(normalise_features(x, ["row_sum"]), summed, rtol=1e-6)
    np.testing.assert_allclose(normalise_features(x, ["l2"]), unit, rtol=1e-6)
    np.testing.assert_allclose(normalise_features(x, ["zscore"]), scored, rtol=1e-5, atol=1e-7)
    assert normalise_features(x, []).dtype == np.float32


def test_rows_and_columns_without_spread_stay_zero() -> None:
    zeros = np.zeros((3, 2))
    for step in ("row_sum", "l2", "zscore"):
        np.testing.assert_array_equal(normalise_features(zeros, [step]), zeros)
    np.testing.assert_array_equal(normalise_features(np.full((3, 2), 0.1), ["zscore"]), zeros)


def nearest_accuracy(x_s: np.ndarray, y_s: np.ndarray, x_t: np.ndarray, y_t: np.ndarray) -> float:
    """1-NN accuracy in percent, Euclidean, in float64 NumPy."""
    a, b = x_s.astype(np.float64), x_t.astype(np.float64)
    squared = (b**2).sum(1)[:, None] + (a**2).sum(1)[None] - 2 * b @ a.T
    return float(100 * (y_s[squared.argmin(1)] == y_t).mean())


def test_surf_features_reproduce_the_published_nearest_neighbour_average(shared_data: Path) -> None:
    data = load_data("features:office_caltech10_surf.npz", shared_data, normalise=("row_sum", "zscore"))
    assert data.counts == {"caltech": 1123, "amazon": 958, "webcam": 295, "dslr": 157} and not data.partial
    d = {name: data.domain(name) for name in data.domains}
    result = {f"{s}->{t}": nearest_accuracy(d[s].x, d[s].labels, d[t].x, d[t].labels) for s, t in permutations(d, 2)}
    assert list(result) == data.tasks()
    assert np.mean(list(result.values())) == pytest.approx(31.37, abs=0.05)
    assert result["amazon->webcam"] == pytest.approx(29.8, abs=0.06)
    assert result["caltech->amazon"] == pytest.approx(23.7, abs=0.06)
    assert result["dslr->webcam"] == pytest.approx(63.4, abs=0.06)


def test_jda_digits_reproduce_the_published_nearest_neighbour_figures(shared_data: Path) -> None:
    data = load_data("features:jda_mnist_usps.npz", shared_data, normalise=("l2",))
    m, u = data.domain("mnist"), data.domain("usps")
    assert nearest_accuracy(m.x, m.labels, u.x, u.labels) == pytest.approx(65.94, abs=0.005)
    assert nearest_accuracy(u.x, u.labels, m.x, m.labels) == pytest.approx(44.70, abs=0.005)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [(["cat", "dog"], ("cat", "dog")), ([False, True], ("False", "True")), ([3.0, 7.0], ("3", "7"))],
)
def test_words_booleans_and_whole_floats_are_labels(
    tmp_path: Path, labels: list[object], classes: tuple[str, ...]
) -> None:
    y = np.array(labels)[np.arange(6) % 2]
    np.savez(tmp_path / "f.npz", a_x=np.ones((6, 2)), a_y=y, b_x=np.ones((6, 2)), b_y=y[::-1])
    loaded = load_features(tmp_path / "f.npz")
    assert loaded.classes == classes and loaded.y["a"].tolist() == [0, 1] * 3 and loaded.y["b"].tolist() == [1, 0] * 3


@pytest.mark.parametrize("how", ["no key", "-1 throughout", "-1.0 throughout"])
def test_a_domain_without_labels_is_a_target_and_no_source(how: str, tmp_path: Path) -> None:
    more = {} if how == "no key" else {"b_y": np.full(6, int(how[:2]), float if "." in how else int)}
    file = save(tmp_path / "f.npz", a_x=X, a_y=np.array(["cat", "dog"])[Y % 2], b_x=X + 1, **more)
    data = load_data(f"features:{file}", normalise=["zscore"])
    assert (data.domains, data.unlabelled, data.classes) == (("a",), {"b": 6}, ("cat", "dog"))
    assert bool(data.remarks) == bool(more)
    assert data.domain("b").y is None
    np.testing.assert_allclose(data.domain("b").x, (X - X.mean(0)) / X.std(0, ddof=1), rtol=1e-5)
    np.testing.assert_allclose(data.moments("b")[0][0], (X + 1).mean(0))
    task = make_task(data, "a", "b")
    assert (len(task.target), len(task.test), task.target.y) == (6, 0, None)
    with pytest.raises(DalibError, match="domain 'b' has no labels; a source needs them: store b_y"):
        make_task(data, "b", "a")


def test_a_domain_of_one_row_is_not_z_scored_to_nothing_in_silence(tmp_path: Path) -> None:
    data = load_data(f"features:{save(tmp_path / 'f.npz', a_x=X, a_y=Y, b_x=X[:1])}", normalise=["zscore"])
    with pytest.warns(UserWarning, match="normalise = zscore: 'b' has one row, .* becomes 0 in every column"):
        assert not np.any(data.domain("b").x)


def test_modalities_token_ids_and_numbers_of_an_unlabelled_target_are_read(tmp_path: Path) -> None:
    ids = np.arange(6)[:, None]
    both = {"a_x_table": X, "a_x_text": ids, "a_y": Y, "b_x_table": X, "b_x_text": ids + 9, "b_x_other": X}
    data = load_data(f"features:{save(tmp_path / 'f.npz', **both)}")
    assert data.unlabelled == {"b": 6} and data.domain("b").x.dtype.names == ("table", "text")
    assert data.row_shape().fields["text"].ids == 15, "ids of the target count"
    numbers = save(tmp_path / "g.npz", a_x=X, a_y=X[:, 0], b_x=X, objective=np.array("regression"))
    data = load_data(f"features:{numbers}")
    assert (data.unlabelled, data.domain("b").y, data.domain("b").objective) == ({"b": 6}, None, "regression")


def test_names_that_differ_in_case_only_are_told(tmp_path: Path) -> None:
    path = save(tmp_path / "f.npz", a_x=X, a_y=np.array(["cat", "Cat", "back pack"])[Y])
    assert load_features(path).remarks == ("'Cat' and 'cat' are two classes here; if they are one, spell them alike",)
    path = save(tmp_path / "g.npz", a_x=X, a_y=np.array(["a b", "a_b", "c"])[Y])
    assert "'a b' and 'a_b' are two classes here" in load_features(path).remarks[0]
    path = save(tmp_path / "d.npz", Lab_x=X, Lab_y=Y, lab_x=X)
    assert load_features(path).remarks == ("'Lab' and 'lab' are two domains here; if they are one, spell them alike",)
    path = save(tmp_path / "h.npz", a_x=X, a_y=np.array(["a", "b", "c"])[Y])
    assert load_features(path).remarks == ()


def test_numbers_of_the_other_byte_order_are_read(tmp_path: Path) -> None:
    x = np.arange(12).reshape(3, 2, 2)
    np.savez(tmp_path / "f.npz", a_x=x.astype(">i4"), a_y=np.array([0, 1, 0], ">i8"))
    read = load_features(tmp_path / "f.npz")
    assert read.x["a"].dtype.isnative and (read.x["a"] == x).all()


def test_labels_that_count_from_one_do_not_fit_names_that_count_from_nothing(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", a_x=np.eye(3), a_y=[1, 2, 1], classes=["ant", "bee"])
    with pytest.raises(DalibError, match="a_y has label 2 but classes names only 2"):
        load_features(tmp_path / "f.npz")
