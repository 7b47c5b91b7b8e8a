"""Transferability measures against the accuracy really reached, after probing and after fine-tuning.

    dalib run benchmarks/rank_office_caltech10.toml   # and the others of SUITES: nine networks, probed and fine-tuned
    python benchmarks/rank_study.py score             # measures on the labelled half -> results/records/rank_scores.csv
                                                      # (score SUITE … renews some of them)
    python benchmarks/rank_study.py tables            # both -> results/tables/rank_study.{md,csv,svg}

`tables` needs no data: `make tables` calls it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

SUITES = ("rank_office_caltech10", "rank_mini_office")
HERE = Path(__file__).resolve().parent
RECORDS, TABLES = HERE.parent / "results" / "records", HERE.parent / "results" / "tables"


def score_suite(name: str) -> pd.DataFrame:
    """Every measure on the labelled rows of every `probe` run: the half that the probe is fitted to, the same split."""
    import torch

    from dalib.backbones import load_backbone
    from dalib.backbones._classifier import load_classifier
    from dalib.bench.plan import plan
    from dalib.bench.suite import load_suite
    from dalib.core.registry import MEASURES
    from dalib.core.types import Outputs
    from dalib.data.catalog import load_data
    from dalib.data.tasks import make_task
    from dalib.feed.embed import embed_images

    suite = load_suite(HERE / f"{name}.toml")
    data = load_data(suite.dataset, partial=suite.partial)
    lines = []
    for run in plan(suite).runs:
        way, _, model = run.label.partition(" ")
        if way != "probe":
            continue
        spec = run.spec
        backbone = load_backbone(spec.backbone.name, spec.backbone.weights, seed=spec.seed)
        assert backbone.preprocess is not None
        backbone.preprocess = backbone.preprocess.at(spec.train.crop, spec.train.resize)
        resize = backbone.preprocess.resize
        task = make_task(data, spec.source, spec.target, spec.protocol, seed=spec.seed, resize=resize)
        z = torch.from_numpy(embed_images(backbone, task.labelled, torch.device("cpu")))
        classifier = load_classifier(backbone, spec.backbone.weights)
        with torch.no_grad():
            logits = classifier(z) if classifier else torch.zeros(len(z), 0)
        rows = Outputs(z, logits, torch.as_tensor(task.labelled.labels))
        for measure in MEASURES.names():
            lines.append((name, model, spec.seed, measure, float(f"{MEASURES.get(measure)().score(rows):.6g}")))
        print(f"{name}  {model}  seed {spec.seed}", flush=True)
    return pd.DataFrame(lines, columns=["suite", "model", "seed", "measure", "score"])


def write_tables() -> None:
    from dalib.records.archive import Archive
    from dalib.report.markdown import render_markdown
    from dalib.report.rank_study import draw_study, read_reached, study_frame, study_sheets

    scores = pd.read_csv(RECORDS / "rank_scores.csv")
    targets = [read_reached(Archive(RECORDS / f"{name}.jsonl"), name, scores) for name in SUITES]
    text = "\n".join(render_markdown(sheet) for sheet in study_sheets(targets))
    (TABLES / "rank_study.md").write_text(text, encoding="utf-8")
    study_frame(targets).to_csv(TABLES / "rank_study.csv", index=False)
    draw_study(targets, TABLES / "rank_study.svg")
    print(text)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["score", *names]:
            found = pd.concat([score_suite(name) for name in names or SUITES])
            if names and (RECORDS / "rank_scores.csv").is_file():
                old = pd.read_csv(RECORDS / "rank_scores.csv")
                found = pd.concat([old[~old["suite"].isin(names)], found])
            found.to_csv(RECORDS / "rank_scores.csv", index=False)
        case ["tables"]:
            write_tables()
        case _:
            sys.exit(__doc__)
