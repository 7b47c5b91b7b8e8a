"""Pictures from Python: what stands in the axes is what was measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import matplotlib.axes
import numpy as np
import pytest

import dalib
from dalib import plots
from dalib.core.errors import DalibError
from dalib.core.types import Task
from dalib.plots._confusion import count_answers
from dalib.report.axes import COLOURS, style
from dalib.report.projection import project, thin
from dalib.train.fitted import Fitted
from tests.support.report_shelf import Shelf, toy_shelf

Trained = tuple[Fitted, Task]


@pytest.fixture
def shelf() -> Shelf:
    """Two tasks, two seeds; averages: source_only 51, mmd 61.5, dann 48.5, supervised 95."""
    return toy_shelf()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder, rng = tmp_path_factory.mktemp("plots"), np.random.default_rng(0)
    centres, y = 2.5 * rng.normal(size=(3, 6)), np.repeat(np.arange(3), 20)
    x = {d: (centres[y] + s + rng.normal(size=(60, 6))).astype(np.float32) for d, s in (("a$^{", 0.0), ("_b", 1.0))}
    np.savez(folder / "rows.npz", **{f"{d}_x": v for d, v in x.items()}, **{f"{d}_y": y for d in x})
    run = dalib.fit(f"features:{folder}/rows.npz", "a$^{", "_b", "dann", train={"steps": 20, "lr": 0.05})
    return run.fitted, run.task


def make_axes() -> matplotlib.axes.Axes:
    from matplotlib.figure import Figure

    return Figure().add_subplot()


def test_matplotlib_is_loaded_when_something_is_drawn() -> None:
    code = "import dalib, sys; dalib.plots.features; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("method", ["pca", "tsne"])
@pytest.mark.parametrize("colour", ["domain", "class"])
def test_features_draws_every_row_of_both_domains_into_the_axes_given(
    trained: Trained, method: str, colour: str, tmp_path: Path
) -> None:
    axes = make_axes()
    assert plots.features(*trained, axes, method=method, colour=colour) is axes
    source, target = axes.collections
    assert len(source.get_offsets()) == len(trained[1].labelled)
    assert len(target.get_offsets()) == len(trained[1].test)
    axes.figure.savefig(tmp_path / "z.svg")  # a name that is half a formula is drawn as it is
    rows = plots.features(*trained, rows=7).collections
    assert [len(c.get_offsets()) for c in rows] == [7, 7]


def test_a_map_by_pca_is_that_of_a_reference() -> None:
    from sklearn.decomposition import PCA

    rows = np.random.default_rng(1).normal(size=(30, 5)) * [5, 3, 1, 1, 1]
    first, second = project([rows[:10], rows[10:]])
    wanted = PCA(2, svd_solver="full").fit_transform(rows)
    ours = np.concatenate([first, second])
    assert np.allclose(np.abs(ours), np.abs(wanted))
    assert (thin(10, 4) == np.unique(thin(10, 4))).all() and len(thin(10, 4)) == 4 and len(thin(3, 4)) == 3


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_features_that_are_all_alike_or_have_one_column_are_drawn(method: str) -> None:
    assert (project([np.ones((5, 3)), np.ones((4, 3))], method)[0] == 0).all()
    assert project([np.arange(9.0)[:, None], np.arange(4.0)[:, None]], method)[1].shape == (4, 2)


def test_confusion_counts_are_those_of_sklearn_and_shares_of_true_classes(trained: Trained) -> None:
    from sklearn.metrics import confusion_matrix

    fitted, task = trained
    outputs = fitted.outputs(task.test)
    wanted = confusion_matrix(task.test.labels, outputs.logits.argmax(1))
    assert (count_answers(fitted, task)[0] == wanted).all()
    axes = plots.confusion(fitted, task)
    assert np.allclose(axes.images[0].get_array(), wanted / wanted.sum(1, keepdims=True))
    assert f"{100 * np.trace(wanted) / wanted.sum():.1f} %" in axes.get_title()
    rejected, names = count_answers(fitted, task, reject=0.01)
    assert names[-1] == "unknown" and rejected[:, -1].sum() > 0 and rejected.sum() == len(task.test)


def test_curves_draws_terms_and_metrics_of_one_or_several_runs(trained: Trained, shelf: Shelf) -> None:
    axes = plots.curves(trained[0])
    drawn = {line.get_label(): line for line in axes.lines}
    assert set(drawn) == {"classification", "adversarial"}
    assert list(drawn["adversarial"].get_ydata()) == trained[0].curve["adversarial"]
    records = {k: next(r for r in shelf.records.values() if r.spec.algorithm == k) for k in ("mmd", "dann")}
    axes = plots.curves(records, make_axes(), metric="target_accuracy")
    assert [line.get_label() for line in axes.lines] == ["mmd", "dann"]
    assert list(axes.lines[0].get_ydata()) == [0.7]
    with pytest.raises(DalibError, match=r"no metric named 'target_acuracy'.*target_accuracy"):
        plots.curves(records, metric="target_acuracy")
    with pytest.raises(DalibError, match="a method that solves"):
        plots.curves(records)


def test_intervals_and_ranks_are_the_numbers_of_the_summary(shelf: Shelf) -> None:
    summary = dalib.table("toy", "summary", records=shelf)
    axes = plots.intervals(summary, make_axes())
    at = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
    assert at == sorted(at) == pytest.approx([48.5, 51, 61.5, 95])
    assert [t.get_text() for t in axes.get_yticklabels()] == ["dann", "source_only", "mmd", "target_labels"]
    assert axes.lines[-1].get_markerfacecolor() == "white", "a row that uses target labels is hollow"
    over = plots.intervals(summary, differences=True)
    assert [line.get_xdata()[0] for line in over.lines if line.get_marker() == "o"] == pytest.approx([-2.5, 10.5])
    texts = [t.get_text() for t in plots.critical_difference(summary).texts]
    assert "mmd  1.00" in texts and any(t.startswith("CD = ") for t in texts)
    given = plots.critical_difference({"a": 1.0, "b": 2.0}, make_axes(), tasks=4)
    assert "a  1.00" in [t.get_text() for t in given.texts]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda f, t, s: plots.features(f, t, method="umap"), "no projection named 'umap'"),
        (lambda f, t, s: plots.features(f, t, colour="label"), "no colour named 'label'"),
        (lambda f, t, s: plots.features(f, t, rows=1), "give 2 or more"),
        (lambda f, t, s: plots.features(f, t, axes=[1]), "no matplotlib Axes"),
        (lambda f, t, s: plots.intervals(dalib.table("toy", records=s)), "give the summary"),
        (lambda f, t, s: plots.critical_difference({"a": 1.0, "b": 2.0}), "say over how many tasks"),
        (lambda f, t, s: project([np.full((5, 2), np.nan)]), "not finite"),
    ],
)
def test_a_mistake_is_one_line(trained: Trained, shelf: Shelf, call: object, said: str) -> None:
    with pytest.raises(DalibError, match=said):
        call(*trained, shelf)  # type: ignore[operator]


def test_forty_nine_lines_look_different_and_the_colours_differ_for_colour_blind_readers() -> None:
    looks = {(s["color"], s["marker"], s["linestyle"]) for s in map(style, range(49))}
    assert len(looks) == 49
    rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in COLOURS])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    # Vienot, Brettel and Mollon 1999: what protanopes and deuteranopes see, in linear RGB
    for matrix in ([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
                   [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]]):  # fmt: skip
        seen = np.clip(linear @ np.array(matrix).T, 0, 1) ** (1 / 2.4)
        apart = np.linalg.norm(seen[:, None] - seen[None], axis=2)[np.triu_indices(len(COLOURS), 1)]
        assert apart.min() > 0.12
