import pytest

from dalib.bench.plan import plan
from dalib.bench.suite import Suite, load_suite
from dalib.core.errors import DalibError
from dalib.train.config import TrainConfig

HEAD = 'dataset = "features:toy.npz"\n'
ROW = "[algorithms.dann]\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (HEAD + "seed = [1]\n" + ROW, "no key 'seed'; did you mean 'seeds'"),
        (HEAD + "[train]\nstep = 1\n" + ROW, "no key 'step' in [train]; did you mean 'steps'"),
        (HEAD + "[backbone]\nweight = 'none'\n" + ROW, "no key 'weight' in [backbone]; did you mean 'weights'?"),
        (HEAD + "[protocol]\nshot = 1\n" + ROW, "no key 'shot' in [protocol]; did you mean 'shots'?"),
        (HEAD + ROW + "train = { momentun = 1 }", "'momentun' in [algorithms.dann.train]; did you mean 'momentum'"),
        (HEAD + "seeds = []\n" + ROW, "seeds is empty"),
        (HEAD + "seeds = [1, 1]\n" + ROW, "seeds holds 1 twice"),
        (HEAD + "seeds = ['a']\n" + ROW, "seeds.0 = 'a' should be a valid integer"),
        (HEAD + "tasks = ['a->b', 'a->b']\n" + ROW, "tasks holds 'a->b' twice"),
        (HEAD + "algorithms = []", "names no algorithm"),
        (HEAD + "algorithms = ['dann', 'dann']", "'dann' twice"),
        (HEAD + "name = 'a b'\n" + ROW, "name = 'a b'"),
        (HEAD + "[train]\nlr = -1\n" + ROW, "train.lr = -1 should be greater than 0"),
        (HEAD + "validators = ['ami', 'ami']\n" + ROW, "validators holds 'ami' twice"),
        (HEAD + "validators = 'some'\n" + ROW, "validators = 'some' should be 'all'"),
        (HEAD + "validators = ['ami']\n[search]\nsampler = 'tpe'\n" + ROW, "searches by source_accuracy, which is not"),
        (HEAD + "[train]\nsteps = true\n" + ROW, "train.steps = True is no number; its default is 1000"),
        (HEAD + ROW + "train = { lr = false }", "lr = False is no number"),
        (HEAD + ROW + "devices = true", "devices = True is no number"),
        (HEAD + "[protocol]\nshots = true\n" + ROW, "protocol.shots = True is no number"),
        (HEAD + "[protocol]\nsource_per_class = true\n" + ROW, "source_per_class = True is no number"),
        (HEAD + "[search]\nbudget = true\n" + ROW, "search.budget = True is no number"),
        (HEAD + "[algorithms.' ']\nalgorithm = 'dann'", "has a row called ' '; give it a name that can be seen"),
        (HEAD + ROW + "[algorithms.' dann']\nalgorithm = 'mcc'", "rows 'dann' and ' dann', which look alike"),
        (
            HEAD + '[algorithms."caf\\u00e9"]\nalgorithm = "dann"\n[algorithms."cafe\\u0301"]\nalgorithm = "mcc"',
            r"rows 'caf\xe9' and 'cafe\u0301', which look alike",
        ),
        (ROW, "key 'dataset' is missing"),
        ("dataset = ", "not TOML"),
    ],
)
def test_a_mistake_in_a_suite_is_one_line_that_names_it(tmp_path, text, complaint):
    path = tmp_path / "demo.toml"
    path.write_text(text)
    with pytest.raises(DalibError) as caught:
        load_suite(path)
    assert complaint in str(caught.value)
    assert "suite demo" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_mark_that_some_editors_put_first_is_no_part_of_a_suite(tmp_path):
    (tmp_path / "plain.toml").write_text('name = "s"\n' + HEAD + ROW)
    (tmp_path / "marked.toml").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "plain.toml").read_bytes())
    plain, marked = (load_suite(tmp_path / f"{name}.toml") for name in ("plain", "marked"))
    assert plain == marked and plain.sha256 == marked.sha256


def test_settings_that_are_yes_or_no_may_be_true_and_numbers_may_be_written_as_words():
    config = TrainConfig.model_validate({"invariant": True, "steps": "5", "lr": 1})
    assert (config.invariant, config.steps, config.lr) == (True, 5, 1.0)


def test_a_missing_suite_file_is_named(tmp_path):
    with pytest.raises(DalibError, match=r"no suite file .*nothing.toml"):
        load_suite(tmp_path / "nothing.toml")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"tasks": ["a->z"]}, "no task named 'a->z'"),
        ({"algorithms": {"sorce_only": {}}}, "no algorithm named 'sorce_only'; did you mean 'source_only'"),
        ({"algorithms": {"dann": {"weigth": 1}}}, "no hyper-parameter of dann named 'weigth'; did you mean 'weight'"),
        ({"algorithms": {"dann": {"trian": {}}}}, "did you mean 'train'"),
        ({"algorithms": {"dann": {"weight": "x"}}}, "is not a number"),
        ({"baseline": "source"}, "no row named 'source'; did you mean 'source_only'"),
        ({"dataset": "ofice31"}, "did you mean 'office31'"),
        ({"backbone": {"name": "resnet50"}}, "take no backbone"),
        ({"metric": "target_acuracy"}, "no metric named 'target_acuracy'; did you mean 'target_accuracy'"),
        ({"metric": "accuracy"}, "no metric named 'accuracy'; did you mean 'target_accuracy'"),
        ({"metric": "target_rmse"}, "no metric named 'target_rmse'"),
        ({"metric": "train_macro_f1"}, "no metric named 'train_macro_f1'"),
    ],
)
def test_a_mistake_that_needs_the_data_stops_the_plan(suite, change, complaint):
    wrong = Suite.model_validate({**suite.model_dump(), **change})
    with pytest.raises(DalibError) as caught:
        plan(wrong)
    assert complaint in str(caught.value)


def test_a_row_overrides_the_sections_and_keeps_the_rest(suite):
    rows = {r.label: r.spec for r in plan(suite).runs}
    assert (rows["strong"].train.lr, rows["strong"].train.steps) == (0.003, 7)
    assert (rows["source_only"].train.lr, rows["source_only"].train.steps) == (0.02, 7)
    assert rows["strong"].algorithm == "dann"
    assert rows["strong"].hparams["weight"] == 0.5


def test_a_list_of_names_is_a_suite_too(suite):
    short = Suite.model_validate({**suite.model_dump(), "algorithms": ["source_only", "dann"]})
    assert {r.spec.algorithm for r in plan(short).runs} == {"source_only", "dann"}


def test_runs_go_by_seed_then_task_then_row_and_tables_by_row(suite):
    planned = plan(suite)
    order = [(r.spec.seed, r.spec.task, r.label) for r in planned.runs]
    assert order[:4] == [(0, t, a) for t in ("a->b", "b->a") for a in ("source_only", "strong")]
    assert [o[0] for o in order] == sorted(o[0] for o in order)
    manifest = planned.manifest()
    assert manifest.labels == ["source_only", "strong"]
    assert manifest.tasks == ["a->b", "b->a"]
    assert manifest.baseline == "source_only"
    assert len(manifest.keys) == 12


def test_a_label_does_not_change_the_key(suite):
    content = suite.model_dump()
    content["algorithms"] = {"another": content["algorithms"]["strong"]}
    renamed = plan(Suite.model_validate(content)).manifest().keys
    assert set(renamed) == {r.key for r in plan(suite).runs if r.label == "strong"}
