"""Numbers far from 0 that vary little: kept as float64 in files, and a line wherever float32 has to do."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat

import dalib
from dalib.core.errors import DalibError
from dalib.data.narrow import LOST, find_lost, keep_digits
from dalib.data.packing import arrays_of_frame, arrays_of_mat, arrays_of_tables, pack
from dalib.estimator import AdaptationClassifier

WORDS = r"column {} varies by 2\.\de\+04 around 1\.70\d*e\+09, which float32 rounds by 3\d; subtract an offset"


def seconds(n: int = 200) -> np.ndarray:
    """A day of Unix times; float32 knows every 128th second there."""
    return 1_700_000_000.0 + np.random.default_rng(0).permutation(np.linspace(0, 86_399, n).round())


def rows(n: int = 200) -> np.ndarray:
    return np.column_stack([np.random.default_rng(1).normal(size=n), seconds(n)])


def test_what_is_lost_is_the_rounding_beside_the_deviation() -> None:
    """By hand: uniform over a day, the deviation is 86 400 / sqrt(12), and the rounding to 128 s 128 / sqrt(12)."""
    [(column, mean, deviation, error)] = find_lost(rows(5_000))
    assert column == 1 and mean == pytest.approx(1_700_043_200, rel=1e-6)
    assert deviation == pytest.approx(86_400 / 12**0.5, rel=1e-2)
    assert error == pytest.approx(128 / 12**0.5, rel=5e-2)


@pytest.mark.parametrize(
    ("x", "columns"),
    [
        (rows().astype(np.float32), []),
        (rows().astype(np.int64), [1]),
        (rows() - [0, 1_700_000_000], []),
        (np.full((9, 2), 1_700_000_001.0), []),
        (np.full((9, 1), 0.1) * [[1.0, 3.0]], []),
        (np.arange(1, 10)[:, None] * 1e-50, [0]),
        (5 + 1e-6 * rows()[:, :1], [0]),
        (np.array([[np.nan, 1.0], [np.inf, 2.0]]), []),
        (np.array([[1e300], [-1e300]]), []),
        (rows()[:1], []),
        (rows()[:, 1], []),
        (np.zeros((0, 3)), []),
        (np.stack([rows()] * 4, axis=2), [1]),
        (np.eye(4, dtype=bool), []),
        (np.arange(8).reshape(4, 2) + 2**24, [1]),
        (np.full((4, 2), 2**60), []),
        (np.arange(8).reshape(4, 2) * 2 + 2**31, [0, 1]),
        (np.arange(8, dtype=np.uint64).reshape(4, 2) + 2**63, [0, 1]),
    ],
)
def test_only_columns_that_lose_what_varies_are_found(x: np.ndarray, columns: list[int]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [k for k, *_ in find_lost(x)] == columns


def test_all_domains_are_kept_in_one_type() -> None:
    made = keep_digits([rows() * 0, rows()])
    assert {part.dtype for part in made} == {np.dtype(np.float64)}
    assert {part.dtype for part in keep_digits([rows() - rows().mean(0)])} == {np.dtype(np.float32)}
    assert LOST == 1e-3


def frame() -> pd.DataFrame:
    made = pd.DataFrame(rows(), columns=["a", "time"])
    return made.assign(kind=["x", "y"] * 100, site=["s"] * 100 + ["t"] * 100)


def test_a_packed_table_keeps_its_digits_and_zscore_uses_them(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "t.csv", index=False)
    pack(arrays_of_tables([tmp_path / "t.csv"], "site", "kind"), tmp_path / "f.npz")
    with np.load(tmp_path / "f.npz") as file:
        np.testing.assert_array_equal(file["s_x"][:, 1], seconds()[:100])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = dalib.load_data(f"features:{tmp_path / 'f.npz'}", normalise=("zscore",))
        z = data.domain("s").x[:, 1]
    own = seconds()[:100]
    np.testing.assert_allclose(z, (own - own.mean()) / own.std(ddof=1), rtol=1e-5, atol=1e-6)
    plain = dalib.load_data(f"features:{tmp_path / 'f.npz'}")
    with pytest.warns(UserWarning, match=WORDS.format(1) + ", or normalise = zscore"):
        plain.domain("s")


def test_a_packed_table_of_usual_numbers_is_float32() -> None:
    arrays = arrays_of_frame(frame().drop(columns="time"), "site", "kind")
    assert arrays["s_x"].dtype == np.float32


def test_a_mat_file_keeps_its_digits(tmp_path: Path) -> None:
    savemat(tmp_path / "s.mat", {"X": rows(), "Y": np.arange(200) % 2})
    assert arrays_of_mat([tmp_path / "s.mat"])["s_x"].dtype == np.float64


def test_whole_numbers_beyond_float64_are_refused() -> None:
    made = frame().assign(id=2**60 + np.arange(200))
    with pytest.raises(DalibError, match=r"column 'id' holds whole numbers up to .* subtract an offset"):
        arrays_of_frame(made, "site", "kind")
    assert arrays_of_frame(made.assign(id=2**54 * np.arange(1, 201)), "site", "kind")["columns"].tolist()[-1] == "id"


def test_an_estimator_says_which_column_and_that_standardise_comes_too_late() -> None:
    table = frame()[["a", "time"]]
    for x, name in ((table, "'time'"), (rows(), "1"), (rows().astype(np.int64), "1")):
        with pytest.warns(UserWarning, match="X: " + WORDS.format(name) + ", or standardise it first"):
            AdaptationClassifier("coral", standardise=True).fit(x, ["x", "y"] * 100, X_target=x)
    with pytest.warns(UserWarning, match=WORDS.format(1)):
        AdaptationClassifier("source_only", backbone="mlp", train={"steps": 2}).fit(rows(), ["x", "y"] * 100)


def test_answers_of_a_file_that_float32_rounds_are_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", s_x=rows()[:, :1], s_y=seconds(), t_x=rows()[:, :1], objective="regression")
    with pytest.warns(UserWarning, match=r"s_y: " + WORDS.format(0)):
        dalib.load_data(f"features:{tmp_path / 'f.npz'}")
