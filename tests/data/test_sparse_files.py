"""Files of sparse rows are read as they are, into what scikit-learn's estimators take."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csc_matrix, csr_matrix, issparse, random, save_npz
from sklearn.datasets import dump_svmlight_file

import dalib
from dalib.core.errors import DalibError
from dalib.data.sparse_files import read_sparse

Y = np.array([0, 2, 1, 0, 1])


def _rows(seed: int, n: int = 5, d: int = 7, density: float = 0.4) -> Any:
    return random(n, d, density, random_state=np.random.default_rng(seed), format="csr")


def test_a_file_per_domain_of_any_kind(tmp_path: Path) -> None:
    parts = [_rows(k) for k in range(4)]
    savemat(tmp_path / "books.mat", {"fts": csc_matrix(parts[0]), "labels": Y[:, None].astype(float)})
    savemat(tmp_path / "turned.mat", {"feas": csc_matrix(parts[1].T), "label": Y[None]})
    dump_svmlight_file(parts[2], Y, str(tmp_path / "dvd.svmlight"), zero_based=False)
    save_npz(tmp_path / "new.npz", parts[3])
    names = ["books.mat", "turned.mat", "dvd.svmlight", "new.npz"]
    X, y, domain = read_sparse([tmp_path / name for name in names])
    assert issparse(X) and X.format == "csr" and X.dtype == np.float64
    np.testing.assert_allclose(X.toarray(), np.vstack([part.toarray() for part in parts]), rtol=1e-9)
    np.testing.assert_array_equal(y, [*Y, *Y, *Y, -1, -1, -1, -1, -1])
    assert domain.tolist() == [name.partition(".")[0] for name in names for _ in range(5)]


def test_the_widest_text_tells_the_columns(tmp_path: Path) -> None:
    narrow, wide = csr_matrix([[1.0, 0], [0, 2]]), csr_matrix([[0, 0, 0, 3.0], [1, 0, 0, 0]])
    for name, rows in (("a", narrow), ("b", wide)):
        dump_svmlight_file(rows, [-1, 1], str(tmp_path / f"{name}.svm"), zero_based=False)
    files = [tmp_path / "a.svm", tmp_path / "b.svm"]
    with pytest.raises(DalibError, match=r"a\.svm has the labels -1, 1: -1 would count as no label; say what each is"):
        read_sparse(files)
    X, y, _ = read_sparse(files, labels={-1: 0, 1: 1})
    assert X.toarray().tolist() == [[1, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 3], [1, 0, 0, 0]] and y.tolist() == [
        0,
        1,
        0,
        1,
    ]
    with pytest.raises(DalibError, match=r"has the label 1\.0, which labels = \{-1: 0\} does not name"):
        read_sparse(files, labels={-1: 0})


def test_whether_columns_count_from_nothing_shows_in_all_texts_together(tmp_path: Path) -> None:
    (tmp_path / "a.svm").write_text("1 0:5 2:6\n0 1:7\n")
    (tmp_path / "b.svm").write_text("1 1:8\n0 2:9\n")  # alone, it would seem to count from 1
    X, y, _ = read_sparse([tmp_path / "a.svm", tmp_path / "b.svm"])
    assert X.toarray().tolist() == [[5, 0, 6], [0, 7, 0], [0, 8, 0], [0, 0, 9]] and y.tolist() == [1, 0, 1, 0]


def test_what_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    save_npz(tmp_path / "a.npz", _rows(0))
    save_npz(tmp_path / "b.npz", _rows(0, d=6))
    save_npz(tmp_path / "c.npz", csr_matrix([[0, np.nan]]))
    savemat(tmp_path / "dense.mat", {"fts": np.ones((3, 2)), "labels": [0, 1, 0]})
    savemat(tmp_path / "few.mat", {"fts": csc_matrix(_rows(0)), "labels": [[0, 1, 0]]})
    savemat(tmp_path / "half.mat", {"fts": csc_matrix(_rows(0)), "labels": Y[:, None] + 0.5})
    (tmp_path / "a.svm").write_text("what is this")
    (tmp_path / "plain.npz").write_bytes(b"no zip")
    cases = {
        ("a.npz", "b.npz"): r"b\.npz has 6 columns, another file 7; give all domains the same columns",
        ("a.npz", "a.svm"): r"cannot read .*a\.svm as sparse rows",
        ("a.npz", "a.npz"): r"files of one name \(a, a\)",
        ("c.npz",): "NaN or infinity among its numbers",
        ("dense.mat",): r"holds dense rows \(under fts, .*dalib data pack reads dense ones",
        ("few.mat",): "has 3 labels for 5 rows",
        ("half.mat",): r"labels that are no whole numbers \(0\.5",
        ("plain.npz",): "cannot read .*plain.npz as sparse rows",
        ("gone.npz",): "no file .*gone.npz",
        ("x.csv",): r"is no file of sparse rows; give \.mat",
        (): "no file of sparse rows; give one per domain",
    }
    for files, words in cases.items():
        with pytest.raises(DalibError, match=words):
            read_sparse([tmp_path / name for name in files])


def test_what_was_read_is_what_estimators_take(tmp_path: Path) -> None:
    for k, name in enumerate(("books", "kitchen")):
        save_npz(tmp_path / f"{name}.npz", _rows(k, 40, 12))
    X, _, names = read_sparse([tmp_path / "books.npz", tmp_path / "kitchen.npz"])
    domain = dalib.sign_domains(names, target="kitchen")
    assert dalib.AdaptationTransformer(dalib.PCAMap(components=2)).fit_transform(X, sample_domain=domain).shape == (
        80,
        2,
    )


CHILD = """
import resource, sys
import numpy as np
from sklearn.linear_model import LogisticRegression
import dalib
from dalib.data.sparse_files import read_sparse

X, y, names = read_sparse(sys.argv[1:3])
if sys.argv[3] == "dense":
    X.toarray()[:] += 1
domain = dalib.sign_domains(names, target="kitchen")
moved = dalib.AdaptationTransformer(dalib.SubspaceAlignment(components=20)).fit_transform(X, sample_domain=domain)
model = dalib.WeightedEstimator(None, LogisticRegression(max_iter=20), target_labels="ignore")
model.fit(X, y, sample_domain=domain)
assert moved.shape == (20000, 20) and X.shape == (20000, 5000) and len(model.predict(X)) == 20000
try:  # of this program alone: ru_maxrss begins with what the process that started it had
    peak = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
except (OSError, StopIteration):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(peak)
"""


def _peak(files: list[Path], how: str) -> int:
    """Most bytes that a process of its own had in memory, torch and all, when it was done."""
    told = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, files), how], capture_output=True, text=True, check=True, timeout=600
    )
    return int(told.stdout.split()[-1])


@pytest.mark.slow
def test_twenty_thousand_rows_of_five_thousand_columns_take_less_than_a_gigabyte(tmp_path: Path) -> None:
    pytest.importorskip("resource", reason="the system tells no peak")
    files = [tmp_path / "books.mat", tmp_path / "kitchen.mat"]
    for k, (path, n) in enumerate(zip(files, (12_000, 8_000), strict=True)):
        rows = csc_matrix(_rows(k, n, 5_000, 0.01))
        savemat(path, {"fts": rows, "labels": (np.arange(n) % 2)[:, None]}, do_compression=True)
    assert _peak(files, "sparse") < 1e9
    assert _peak(files, "dense") > 1e9  # so it would be seen


def test_complex_numbers_are_refused_not_cut_to_their_real_part(tmp_path: Path) -> None:
    save_npz(tmp_path / "a.npz", csr_matrix(np.eye(3) * 1j))
    with pytest.raises(DalibError, match="holds complex numbers"):
        read_sparse([tmp_path / "a.npz"])
