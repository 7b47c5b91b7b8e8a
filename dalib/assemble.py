"""`assemble`: from the description of a run to what trains it, the one place where the parts are put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dalib.core.errors import DalibError
from dalib.core.registry import ALGORITHMS, PROTOCOLS, load_plugin
from dalib.records.spec import BackboneSpec, DataSpec, RunSpec

if TYPE_CHECKING:
    from dalib.core.algorithm import Algorithm
    from dalib.core.backbone import Backbone
    from dalib.core.listener import Listener
    from dalib.core.types import Task
    from dalib.data.loaded import LoadedData
    from dalib.train.fitted import Fitted
    from dalib.train.trainer import Trainer

MOST_PIXELS = 2048
"""The largest side of an image that is trained on."""
Report = Callable[[int, int], None]
"""Told (done, total) now and then."""


@dataclass(frozen=True)
class RunContext:
    """Where a run happens: nothing here changes a number, but for the rounding of sums over another number of threads.

    Args
        root: folder or zip of the data; None = `DALIB_DATA`
        device: `auto`, `cpu`, `cuda`, `cuda:N`
        threads: of the run's process; 0 = as they are
        checkpoint: file that makes the run resumable, or None
        plugins: files to load before the run
        keep_features: store z beside the logits, so that validators of features can be added later
        validators: names of those that score every candidate beside the oracle; None = all
        distributed: the processes that `torch.distributed` connects share every step
        processes: how many share the run (`devices` of its row); 1 = this one alone
        track: trackers that are told of the run, `tensorboard` or `tensorboard=DIR`
        label, group: under which they list it; empty = as they do by themselves
    """

    root: str | None = None
    device: str = "auto"
    threads: int = 0
    checkpoint: str | None = None
    plugins: tuple[str, ...] = ()
    keep_features: bool = False
    validators: tuple[str, ...] | None = None
    distributed: bool = False
    processes: int = 1
    track: tuple[str, ...] = ()
    label: str = ""
    group: str = ""


@dataclass
class Run:
    """What `assemble` makes; `data` as they were found, before a frozen backbone embedded them."""

    data: LoadedData
    task: Task
    backbone: Backbone
    algorithm: Algorithm
    trainer: Trainer

    def fit(self) -> Fitted:
        """Train the algorithm, in place.

        Raises
            Diverged: a loss term stopped being finite
        """
        return self.trainer.fit(self.algorithm, self.task, self.backbone)


def assemble(
    spec: RunSpec,
    where: RunContext | None = None,
    *,
    evaluate: Callable[[Fitted, int], dict[str, Any]] | None = None,
    report: Report | None = None,
    making: Report | None = None,
    listeners: Sequence[Listener] = (),
) -> Run:
    """Open the data, load the backbone, embed the images when it is frozen, divide the rows, make the trainer.

    Args
        where: the root, device and files of this run
        evaluate: called with (fitted, step) at the recipe's evaluation points
        report: told how far training is
        making: told how far a data set is that is made on first use
        listeners: what else follows the fit
    Raises
        DalibError: plug-ins, device, data, backbone and algorithm are missing or do not fit together
    """
    import torch

    from dalib.core.objective import find_objective
    from dalib.data.tasks import make_task
    from dalib.feed.embed import embed_data
    from dalib.train.device import pick_device
    from dalib.train.trainer import Trainer

    where = where or RunContext()
    for plugin in where.plugins:
        load_plugin(plugin)
    device = pick_device(where.device)
    if where.threads:
        torch.set_num_threads(where.threads)
    algorithm = ALGORITHMS.get(spec.algorithm).create(spec.algorithm, dict(spec.hparams))
    algorithm.check()
    data = open_data(spec.data, where.root, making).with_target(spec.target)
    data.split(spec.task, alone=PROTOCOLS.get(spec.protocol.name).labels == "target")
    backbone = open_backbone(spec.backbone, data, spec.seed, algorithm.needs_head)
    spec = _identify(spec, data, backbone) if where.checkpoint else spec
    objective = find_objective(data.objective)
    objective.check()
    if objective.dense and backbone.frozen:
        raise DalibError(
            f"backbone.frozen = true: {backbone.name}'s features of a whole picture say nothing of places in it, and "
            f"{data.name} is for {objective.name}; leave it out, or set train.backbone_rate = 0"
        )
    size = (spec.train.crop, spec.train.resize)
    prepare = objective.prepare(backbone.preprocess, *size) if backbone.preprocess else None
    if prepare and prepare.crop > prepare.resize:
        raise DalibError(
            f"train.resize = {prepare.resize} is smaller than what {backbone.name} crops, {prepare.crop}; give "
            f"--crop {prepare.resize} (train.crop = {prepare.resize}) too, or a larger resize"
        )
    if spec.train.crop and prepare:
        check_crop(backbone, prepare.crop)
    rows = embed_data(replace(backbone, preprocess=prepare), data, device) if _embeds(backbone, data) else data
    resize = prepare.resize if prepare else None
    task = make_task(rows, spec.source, spec.target, spec.protocol, seed=spec.seed, resize=resize)
    trainer = Trainer(
        spec.train,
        seed=spec.seed,
        device=where.device,
        checkpoint=Path(where.checkpoint) if where.checkpoint else None,
        checkpoint_key=spec.key if where.checkpoint else "",
        evaluate=evaluate,
        report=report,
        listeners=listeners,
        distributed=where.distributed,
    )
    return Run(data, task, backbone, algorithm, trainer)


def open_data(spec: DataSpec, root: str | None, making: Report | None = None) -> LoadedData:
    """Data sets whose content is known stay open between the runs of one process."""
    return _open_known(spec, root) if spec.fingerprint else _open(spec, root, making)


def _open(spec: DataSpec, root: str | None, making: Report | None) -> LoadedData:
    from dalib.data.catalog import load_data

    how: dict[str, Any] = {"normalise": spec.normalise, "skip_unreadable": spec.skip_unreadable}
    return load_data(spec.dataset, root, partial=spec.partial, progress=making, **how)


@lru_cache(maxsize=4)
def _open_known(spec: DataSpec, root: str | None) -> LoadedData:
    return _open(spec, root, None)


_FROZEN: dict[str, Backbone] = {}


def open_backbone(spec: BackboneSpec, data: LoadedData, seed: int, head: bool) -> Backbone:
    """A fresh backbone; a frozen one never changes, so it is shared between the runs of one process and seed."""
    from dalib.data.backbone import backbone_for

    how: dict[str, Any] = {"frozen": spec.frozen, "seed": seed, "head": head}
    how |= {"options": spec.options, "pretraining": spec.pretraining}
    if not spec.frozen or not spec.hash:
        return backbone_for(data, spec.name, spec.weights, **how)
    known = f"{seed if spec.weights == 'none' else 0} {head} {data.fingerprint} {spec.model_dump_json()}"
    if known not in _FROZEN:
        _FROZEN.clear()
        _FROZEN[known] = backbone_for(data, spec.name, spec.weights, **how)
    return _FROZEN[known]


def check_crop(backbone: Backbone, crop: int, name: str = "train.crop") -> None:
    """DalibError where the network makes nothing of images of this side, said before any is decoded."""
    assert backbone.preprocess is not None
    own = f"its own is {backbone.preprocess.crop}"
    if crop > MOST_PIXELS:
        raise DalibError(f"{name} = {crop} is more than {MOST_PIXELS} pixels; {backbone.name} is slow there, {own}")
    reason = _try_crop(backbone, crop)
    if reason:
        near = [side for side in (crop // 32 * 32, crop // 32 * 32 + 32) if side and not _try_crop(backbone, side)]
        fit = f", {' and '.join(map(str, near))} fit{'' if len(near) > 1 else 's'} too" if near else ""
        raise DalibError(f"{name} = {crop} does not fit {backbone.name} ({reason}); {own}{fit}")


def _try_crop(backbone: Backbone, crop: int) -> str:
    """Why the network makes nothing of an image of this side; empty where it does."""
    import torch

    training = {part: part.training for part in backbone.module.modules()}
    parameter = next(backbone.module.parameters(), torch.zeros(1))
    try:
        with torch.no_grad():
            backbone.module.eval()(torch.zeros(1, 3, crop, crop, dtype=parameter.dtype, device=parameter.device))
    except (RuntimeError, ValueError, AssertionError) as error:
        return str(error).partition("\n")[0][:120] or type(error).__name__
    finally:
        for part, flag in training.items():
            part.training = flag
    return ""


def _embeds(backbone: Backbone, data: LoadedData) -> bool:
    return backbone.frozen and data.kind == "images"


def identify_weights(spec: BackboneSpec, backbone: Backbone) -> BackboneSpec:
    """The spec with the weights' hash, those of the classifier included where it is kept, and what they have seen."""
    from dalib.backbones._weights import hash_state

    if spec.name == "identity":
        return BackboneSpec(pretraining=spec.pretraining)
    head = f"+{hash_state(backbone.head)}" if backbone.head else ""
    head += f"+{backbone.text_tower.sum()}" if backbone.text_tower else ""
    seen = spec.pretraining or backbone.pretraining
    return spec.model_copy(update={"hash": backbone.weights_hash + head, "pretraining": seen})


def _identify(spec: RunSpec, data: LoadedData, backbone: Backbone) -> RunSpec:
    """The spec with what the data and the weights are, so that its key tells; a plan has said so already."""
    if spec.data.fingerprint:
        return spec
    known = data.fingerprint
    if spec.target in data.unlabelled:
        known = f"{known}+{data.domain(spec.target, 1).fingerprint}"
    given = spec.data.model_copy(update={"fingerprint": known, "partial": data.partial})
    return spec.model_copy(update={"data": given, "backbone": identify_weights(spec.backbone, backbone)})
