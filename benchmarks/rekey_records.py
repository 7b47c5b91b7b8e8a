"""Give records made under earlier rules of keys the keys of today; everything else of them stays byte for byte.

    python benchmarks/rekey_records.py results/records/*.jsonl* results/runs

Of every record the old key is computed again from its content and must be the one it bears, which proves that the
content is what was run. A second call changes nothing. Hyper-parameters that came after a record was made are not
filled in: the key leaves defaults out, so it is the same with and without them.

The first rule left out a list of settings; the second leaves out what equals its default. Since then defaults changed:
`NOW_OTHERWISE`, which is written into the records. One that does not say how its network was initialised was made with
`kaiming`, which is written too; with algorithms that are solved nothing is initialised. Later the masks of dropout came
to be drawn otherwise: what had none is as it would be today. Last, axes of subspaces came to be cut at the rank of the
rows: so is what had more rows than axes.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dalib.core.checksum import seal_json, seal_lines, unseal_json, unseal_lines
from dalib.core.errors import DalibError
from dalib.core.feature_algorithm import FeatureAlgorithm
from dalib.core.files import write_atomic, write_text
from dalib.core.registry import ALGORITHMS, load_plugin
from dalib.records.record import Record
from dalib.records.spec import RunSpec
from dalib.train.config import TrainConfig

ADDED: tuple[tuple[str, str, Any], ...] = (
    ("protocol", "holdout", 0.0),
    ("protocol", "source_classes", []),
    ("protocol", "target_classes", []),
    ("protocol", "reject", 1.0),
    ("protocol", "split", "fraction"),
    ("protocol", "source_per_class", 0),
    ("backbone", "options", {}),
    ("train", "colour_jitter", 0.0),
    ("train", "cuda_graph", False),
)
"""Settings that came after the first records: at these values the old rule left them out."""
ADDED_HPARAMS: dict[str, dict[str, Any]] = {
    "adapters": {"blocks": "all"},
    "linear_probe": {"classifier": "logistic", "k": 5},
    "lora": {"blocks": "all"},
}
"""The same for hyper-parameters."""
ADVERSARY: dict[str, Any] = {"hidden": 1024, "dropout": 0.0, "rate": 1.0}
NOW_OTHERWISE: dict[str, dict[str, Any]] = {
    "dann": ADVERSARY,
    "mstn": ADVERSARY,
    "pada": ADVERSARY,
    "cdan": ADVERSARY | {"largest_exact": 4096},
    "gvb": {"hidden": 1024},
    "mdan": {"hidden": 1024},
    "bda": {"mu": 0.5},
    "gfk": {"components": 20},
    "pca_map": {"components": 20},
    "subspace_alignment": {"components": 20},
    "bsp": {"hidden": 1024},
    "sdat": {"hidden": 1024},
}
"""Algorithms whose version rose by one because defaults changed -> what stood then, named or not yet."""
NOT_SAYABLE = ("bsp", "sdat")
"""Of these, whose old numbers no setting gives today: their records keep their version, and no plan asks for them."""
MASKED = ("bsp", "cdan", "dann", "mstn", "pada", "sdat")
"""Algorithms whose version rose once more when dropout came to draw its masks otherwise: at a rate of 0 nothing did."""
BEFORE_MASKS: dict[str, dict[str, Any]] = {"cdan": {"largest_exact": 32768}}
"""Defaults that changed with that version -> what they were."""
RANKED = ("bda", "gfk", "jda", "meda", "pca_map", "subspace_alignment", "tca", "tjm")
"""Algorithms, all solved, whose version rose when they came to take no more axes than centred rows have: n - 1."""
OF_EACH_DOMAIN = ("gfk", "meda", "subspace_alignment")
"""Of these, whose axes are of either domain's rows; of the rest they are of all."""
TRAIN_THEN: dict[str, Any] = {"lr": 0.01}
"""The same of the recipe."""
RENAMED_HPARAMS = {"wdgrl": {"penalty": "penalty_weight"}}
"""Names in records -> names of today; the records keep theirs. Not of algorithms that combine."""
KEY = re.compile(r"\b[0-9a-f]{64}\b")


@dataclass(frozen=True)
class Counts:
    """changed, current: records that got a key and that had it; unrun: keys of a manifest that no record bears;
    strangers: algorithms that are not registered here, whose hyper-parameters all stay in the key."""

    changed: int
    current: int
    unrun: int = 0
    strangers: tuple[str, ...] = ()


def old_key(spec: dict[str, Any]) -> str:
    """The first rule, on a spec as it was stored: sha256 of its canonical JSON, less what `ADDED` names."""
    content = json.loads(json.dumps(spec))
    content["train"].pop("initialisation", None)
    for section, field, default in ADDED:
        if content[section].get(field, default) == default:
            content[section].pop(field, None)
    for algorithm in content["algorithm"].split("+"):
        for name, default in ADDED_HPARAMS.get(algorithm, {}).items():
            full = f"{algorithm}.{name}" if "+" in content["algorithm"] else name
            if content["hparams"].get(full) == default:
                del content["hparams"][full]
    if content["data"]["fingerprint"]:
        content["data"]["dataset"] = content["data"]["dataset"].partition(":")[0]
    if content["backbone"]["hash"]:
        del content["backbone"]["weights"]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def second_key(spec: RunSpec) -> str:
    """The second rule: what equals the default of its time is left out; every part was in its first version."""
    content = spec.model_dump(mode="json", exclude_defaults=True)
    defaults = {k: f.get_default(call_default_factory=True) for k, f in TrainConfig.model_fields.items()} | TRAIN_THEN
    train = spec.train.model_dump(mode="json", exclude={"initialisation"})
    content["train"] = {k: v for k, v in train.items() if v != defaults[k]}
    hparams = content.get("hparams", {})
    if spec.algorithm in ALGORITHMS:
        known = json.loads(json.dumps(ALGORITHMS.get(spec.algorithm).defaults())) | defaults_then(spec.algorithm)
        hparams = {k: v for k, v in hparams.items() if k not in known or not _same(v, known[k])}
    content |= {"hparams": hparams, "versions": {}}
    if spec.data.fingerprint:
        content["data"]["dataset"] = spec.data.dataset.partition(":")[0]
    if spec.backbone.hash:
        content["backbone"].pop("weights", None)
    return _hash({name: part for name, part in content.items() if part != {}})


def third_key(spec: RunSpec) -> str:
    """Today's rule when the algorithm was in the version before `MASKED`, with the defaults of then."""
    if spec.algorithm not in ALGORITHMS:
        return spec.key
    content = spec.model_copy(update={"algorithm_version": ALGORITHMS.get(spec.algorithm).version}).content()
    hparams, given = dict(content.pop("hparams", {})), spec.hparams
    for name, value in _by_full_name(spec.algorithm, BEFORE_MASKS).items():
        hparams.pop(name, None)
        if name in given and not _same(given[name], value):
            hparams[name] = given[name]
    own = {"algorithm_version": spec.algorithm_version} if spec.algorithm_version != 1 else {}
    content.pop("algorithm_version", None)
    return _hash(content | own | ({"hparams": hparams} if hparams else {}))


def _hash(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _same(value: Any, default: Any) -> bool:
    return bool(value == default) and isinstance(value, bool) == isinstance(default, bool)


def defaults_then(algorithm: str) -> dict[str, Any]:
    """Hyper-parameters, of a sum by their full names, whose defaults are others now -> what they were."""
    return _by_full_name(algorithm, NOW_OTHERWISE)


def _by_full_name(algorithm: str, values: dict[str, dict[str, Any]]) -> dict[str, Any]:
    parts = algorithm.split("+")
    prefix = {part: f"{part}." if len(parts) > 1 else "" for part in parts}
    return {f"{prefix[p]}{k}": v for p in parts for k, v in values.get(p, {}).items()}


def version_then(algorithm: str) -> int:
    """The version that an algorithm of `NOW_OTHERWISE`, or a sum with one, had."""
    return _version(algorithm, NOW_OTHERWISE, MASKED, RANKED)


def _version(algorithm: str, *raised: Iterable[str]) -> int:
    """Its version, or of a sum that of its parts, before that of the parts in each of `raised` rose by one."""
    version = 0
    for part in algorithm.split("+"):
        version = 1000 * version + ALGORITHMS.get(part).version - sum(part in names for names in raised)
    return version


def _without_dropout(spec: dict[str, Any]) -> bool:
    """A record of the version before `MASKED` was raised in which no mask was drawn."""
    name, hparams = spec["algorithm"], spec["hparams"]
    parts = name.split("+") if name in ALGORITHMS else []
    masked = [f"{part}.dropout" if len(parts) > 1 else "dropout" for part in parts if part in MASKED]
    same = bool(masked) and spec["algorithm_version"] == _version(name, MASKED)
    return same and all(hparams.get(rate) == 0 for rate in masked)


def _was_cut(record: dict[str, Any]) -> bool:
    """A record of `RANKED` with fewer rows than axes and one, or of which that cannot be told.

    How many `auto` had is in the count of the linear classifier's numbers, outputs x (axes + 1), twice the axes of gfk.
    Features are taken to have as many independent columns as there are axes.
    """
    name, hparams, counts = record["spec"]["algorithm"], record["spec"]["hparams"], record.get("counts", {})
    if name not in RANKED:
        return False
    axes, domains = hparams.get("components", 20), [counts.get("labelled", 0), counts.get("target", 0)]
    if axes == "auto" and name in OF_EACH_DOMAIN:
        outputs = len(record.get("per_class") or record.get("per_output") or ())
        if not outputs or hparams.get("classifier") not in ("logistic", "svm", "lda"):
            return True
        axes = (counts.get("trainable", 0) / outputs - 1) / (2 if name == "gfk" else 1)
    elif axes == "auto":  # those that hold 95 % of the variance of all rows have some
        return False
    return not 0 < axes < (min(domains) if name in OF_EACH_DOMAIN else sum(domains))


def write_out(text: str) -> str:
    """A record's JSON with what has to be said since its time: initialisation, defaults of then, today's version."""
    record = json.loads(text)
    spec, cut = record["spec"], (RANKED,) if _was_cut(record) else ()
    name = spec["algorithm"]
    known = name in ALGORITHMS
    if "initialisation" not in spec["train"] and not (known and issubclass(ALGORITHMS.get(name), FeatureAlgorithm)):
        text = re.sub(r'("train":\s*\{)', r'\1"initialisation":"kaiming",', text, count=1)
    then = defaults_then(name) if known else {}
    if then and not set(name.split("+")) & set(NOT_SAYABLE) and spec["algorithm_version"] == version_then(name):
        more = "".join(f"{json.dumps(k)}:{json.dumps(v)}," for k, v in then.items() if k not in spec["hparams"])
        text = re.sub(r'("hparams":\s*\{)', lambda match: match[1] + more, text, count=1)
        return _of_version(text, _version(name, *cut))
    ranked = name in RANKED and not cut and spec["algorithm_version"] == _version(name, RANKED)
    return _of_version(text, _version(name)) if ranked or _without_dropout(spec) else text


def _of_version(text: str, version: int) -> str:
    return re.sub(r'("algorithm_version":\s*)\d+', rf"\g<1>{version}", text, count=1)


def rename(spec: RunSpec) -> RunSpec:
    """The spec with the names that hyper-parameters have today."""
    names = RENAMED_HPARAMS.get(spec.algorithm, {})
    return spec.model_copy(update={"hparams": {names.get(name, name): value for name, value in spec.hparams.items()}})


def rekey_archive(path: Path) -> Counts:
    """Rewrite an archive, its records sorted by key as `dalib export` does."""
    packed = path.suffix == ".gz"
    content = path.read_bytes()
    whole = gzip.decompress(content) if packed else content
    inner = unseal_lines(whole)
    first, *lines = inner.decode().rstrip("\n").split("\n")
    keys = new_keys(lines, path)
    lines = [write_out(line) for line in lines]
    text = "\n".join([_replace(first, keys), *sorted((_replace(line, keys) for line in lines), key=_key_of)]) + "\n"
    sealed = seal_lines(text.encode()) if inner != whole else text.encode()
    fresh = gzip.compress(sealed, mtime=0) if packed else sealed
    if fresh != content:
        write_atomic(path, fresh)
    return _count(keys, [first], lines)


def rekey_store(root: Path) -> Counts:
    """Rewrite a store: records and their arrays under their new names, then the manifests; the old ones go last.

    Stopped in between, the same call goes on.
    """
    files = sorted(root.glob("[0-9a-f][0-9a-f]/*.json"))
    texts = [_read(path) for path in files]
    keys = new_keys(texts, root)
    moved = [(path, text) for path, text in zip(files, texts, strict=True) if keys[path.stem] != path.stem]
    for path, text in moved:
        new = root / keys[path.stem][:2] / f"{keys[path.stem]}.json"
        arrays, fresh = path.with_suffix(".npz"), new.with_suffix(".npz")
        new.parent.mkdir(parents=True, exist_ok=True)
        if arrays.is_file() and not fresh.exists():
            os.link(arrays, fresh)
        write_text(new, seal_json(_replace(write_out(text), keys)))
    manifests = {path: _read(path) for path in sorted((root / "manifests").glob("*.json"))}
    for path, text in manifests.items():
        write_text(path, seal_json(_replace(text, keys)))
    for path, _ in moved:
        path.unlink()
        path.with_suffix(".npz").unlink(missing_ok=True)
    return _count(keys, manifests.values(), texts)


def new_keys(records: Iterable[str], where: Path) -> dict[str, str]:
    """Key that a record bears -> its key of today.

    Raises
        DalibError: a record whose content is not what its key says, or two different ones that would share a key
    """
    keys: dict[str, str] = {}
    owners: dict[str, str] = {}
    for text in records:
        bears, spec = (content := json.loads(text))["key"], content["spec"]
        then, now = rename(Record.read(text).spec), rename(Record.read(write_out(text)).spec)
        new = now.key
        if bears not in (new, third_key(then), second_key(then), old_key(spec)):
            raise DalibError(f"{where}: record {bears[:12]}… does not hold what its key says; run it again")
        written = json.dumps(json.loads(write_out(text))["spec"], sort_keys=True)
        if owners.setdefault(new, written) != written:
            raise DalibError(f"{where}: two records would share the key {new[:12]}…; remove one (now {bears[:12]}…)")
        keys[bears] = new
    return keys


def _read(path: Path) -> str:
    """A record or manifest of a store without its checksum."""
    return unseal_json(path.read_bytes()).decode()


def _replace(text: str, keys: dict[str, str]) -> str:
    return KEY.sub(lambda match: keys.get(match[0], match[0]), text)


def _key_of(line: str) -> str:
    return str(json.loads(line)["key"])


def _count(keys: dict[str, str], manifests: Iterable[str], records: Iterable[str]) -> Counts:
    named = {run["key"] for text in manifests for run in json.loads(text)["runs"]}
    algorithms = {json.loads(text)["spec"]["algorithm"] for text in records}
    return Counts(
        changed=sum(old != new for old, new in keys.items()),
        current=sum(old == new for old, new in keys.items()),
        unrun=len(named - {*keys, *keys.values()}),
        strangers=tuple(sorted(name for name in algorithms if name not in ALGORITHMS)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="+", type=Path, help="an archive (.jsonl, .jsonl.gz) or the folder of a store")
    parser.add_argument("--plugin", action="append", default=[], help="load a plug-in file; may be repeated")
    given = parser.parse_args()
    for plugin in given.plugin:
        load_plugin(plugin)
    for path in given.path:
        counts = rekey_store(path) if path.is_dir() else rekey_archive(path)
        print(f"{path}: {counts.changed} records re-keyed, {counts.current} had their key, {counts.unrun} never ran")
        if counts.strangers:
            print(f"  not registered here, so --plugin may be missing: {', '.join(counts.strangers)}")


if __name__ == "__main__":
    main()
