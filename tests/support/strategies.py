"""Which weights a fine-tuning strategy moves, on a tiny network of images with batch norms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import dalib
from dalib.checks.world import equal_states
from dalib.core.algorithm import Algorithm
from dalib.core.backbone import Backbone
from dalib.core.network import Network
from dalib.core.types import Source, Target
from dalib.nn.metrics import accuracy
from dalib.train.fitted import Fitted
from dalib.train.trainer import Trainer
from tests.support.image_world import copy_state, differing, make_backbone, make_image_task, recipe


def train(algorithm: Algorithm, backbone: Backbone | None = None, **changes: Any) -> Fitted:
    options = {k: changes.pop(k) for k in ("evaluate", "checkpoint", "report") if k in changes}
    trainer = Trainer(recipe(**changes), device="cpu", checkpoint_seconds=-1.0, **options)
    return trainer.fit(algorithm, make_image_task(), backbone or make_backbone())


def moved(algorithm: Algorithm, **changes: Any) -> set[str]:
    """Entries of the backbone's state that training changed."""
    backbone = make_backbone()
    before = copy_state(backbone.module)
    return set(differing(before, copy_state(train(algorithm, backbone, **changes).backbone.module)))


def entries(block: int, *, parameters_only: bool = False) -> set[str]:
    """State entries of one block of the small network: convolution and batch norm."""
    kinds = ["weight", "bias"] if parameters_only else ["weight", "bias", "running_mean", "running_var"]
    found = {f"{block}.1.{k}" for k in kinds} | {f"{block}.0.weight", f"{block}.0.bias"}
    return found if parameters_only else found | {f"{block}.1.num_batches_tracked"}


def toy(blocks: int = 3) -> tuple[Network, list[nn.Module]]:
    """Blocks of one linear layer, and a parameter outside all of them."""
    layers: list[nn.Module] = [nn.Linear(4, 4) for _ in range(blocks)]
    module = nn.Sequential(nn.Linear(4, 4), *layers)
    return Network(Backbone("toy", module, 4, layers), 3, bottleneck=5), [module[0], *layers]


def check_the_loss_of_the_rows_is_cross_entropy_and_the_target_is_not_used(name: str) -> None:
    algorithm = getattr(dalib, name)()
    algorithm.attach(Network.on_features(6, 3, bottleneck=0))
    logits, y = torch.randn(9, 3), torch.arange(9) % 3
    terms = algorithm.loss(Source.of(torch.randn(9, 6), logits, y), Target.of(torch.zeros(0, 6), torch.zeros(0, 3)), 0)
    torch.testing.assert_close(terms, {"classification": cross_entropy(logits, y)})
    assert not algorithm.uses_target and algorithm.family == "fine-tuning"


def check_the_classes_are_learnt(name: str) -> None:
    fitted, task = train(getattr(dalib, name)(), steps=60), make_image_task()
    assert accuracy(fitted.outputs(task.test).logits, torch.as_tensor(task.test.labels)) > 0.9


def check_fewer_steps_than_descents_are_no_error(name: str, steps: int) -> None:
    assert train(getattr(dalib, name)(), steps=steps, evaluations=1).candidates[-1]["step"] == steps


def check_a_run_killed_in_every_descent_ends_as_an_uninterrupted_one(name: str, tmp_path: Path) -> None:
    path, changes = tmp_path / "checkpoint.pt", {"steps": 40, "evaluations": 4, "batch_norm": "reestimate"}

    def scores(fitted: Fitted, step: int) -> dict[str, Any]:
        return {"logit": float(fitted.outputs(make_image_task().test).logits[0, 0])}

    for kill_at in (10, 30):

        def kill(step: int, steps: int, at: int = kill_at) -> None:
            if step == at:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train(getattr(dalib, name)(), evaluate=scores, checkpoint=path, report=kill, **changes)
    resumed = train(getattr(dalib, name)(), evaluate=scores, checkpoint=path, **changes)
    whole = train(getattr(dalib, name)(), evaluate=scores, **changes)
    assert equal_states(whole.algorithm, resumed.algorithm) == ""
    assert whole.candidates == resumed.candidates and whole.curve == resumed.curve


def check_a_backbone_rate_of_zero_freezes_the_backbone(name: str) -> None:
    assert moved(getattr(dalib, name)(), backbone_rate=0.0, batch_norm="eval") == set()


def check_the_probe_moves_no_backbone_weight_and_what_follows_moves_all(name: str) -> None:
    kept: list[dict[str, Tensor]] = []

    class Watching(getattr(dalib, name)):  # type: ignore[misc]
        def begin(self) -> None:
            super().begin()
            kept.append(copy_state(self.network))

    backbone = make_backbone()
    before = copy_state(backbone.module)
    fitted = train(Watching(probe=0.25), backbone, steps=16)
    probed = {k.removeprefix("backbone."): v for k, v in kept[0].items() if k.startswith("backbone.")}
    assert differing(before, probed) == []
    after = copy_state(fitted.algorithm.network)
    assert set(differing(kept[0], after)) == set(after)
    plain = Network(make_backbone(), 3, 8).head.weight
    assert not torch.equal(kept[0]["head.weight"], plain)
