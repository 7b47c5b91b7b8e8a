"""Weights: the same network back from every file format and from a download; every wrong file named."""

from __future__ import annotations

import argparse
import http.server
import os
import pickle
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from dalib.backbones import load_backbone
from dalib.backbones._torchvision import create_model
from dalib.backbones._weights import hash_state, read_state
from dalib.checks.world import K
from dalib.core.errors import DalibError
from dalib.core.network import Network
from dalib.core.registry import ALGORITHMS
from dalib.train.config import TrainConfig
from dalib.train.model_file import save_model
from dalib.train.trainer import Trainer
from tests.support.image_world import make_image_task


@pytest.fixture(scope="module")
def original() -> nn.Module:
    """torchvision's own network with its classifier, as a user would save it."""
    torch.manual_seed(0)
    return torchvision.models.mobilenet_v2().eval()


def features(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model.features(x).mean((2, 3))  # type: ignore[operator]


WRITERS: dict[str, Callable[[dict[str, torch.Tensor], Path], object]] = {
    "net.safetensors": lambda state, path: save_file(state, path),
    "net.pth": lambda state, path: torch.save(state, path),
    "checkpoint.pt": lambda state, path: torch.save({"epoch": 3, "state_dict": state}, path),
    "parallel.pth": lambda state, path: torch.save({f"module.{k}": v for k, v in state.items()}, path),
    "headless.pth": lambda state, path: torch.save({k: v for k, v in state.items() if "classifier" not in k}, path),
    "old.pth": lambda state, path: torch.save({k: v for k, v in state.items() if "num_batches" not in k}, path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_state_dict_comes_back_from_every_format(name: str, original: nn.Module, tmp_path: Path) -> None:
    WRITERS[name](original.state_dict(), tmp_path / name)
    unpacked = {"checkpoint.pt": "found below 'state_dict'", "parallel.pth": r"found below 'module\.'"}.get(name, "")
    with pytest.warns(UserWarning, match=unpacked) if unpacked else nullcontext():
        backbone = load_backbone("mobilenet_v2", str(tmp_path / name))
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(backbone.module.eval()(x), features(original, x), atol=1e-6)
    assert backbone.weights == name
    assert backbone.weights_hash == hash_state(backbone.module)


def test_the_hash_depends_on_every_name_value_shape_and_type_and_not_on_the_order() -> None:
    def module(**tensors: torch.Tensor) -> nn.Module:
        made = nn.Module()
        for name, value in tensors.items():
            made.register_buffer(name, value)
        return made

    a, b = torch.arange(6.0), torch.zeros(2)
    base = hash_state(module(a=a, b=b))
    assert base == hash_state(module(b=b.clone(), a=a.clone()))
    nudged = a.clone()
    nudged[5] += 1e-6
    others = [module(a=nudged, b=b), module(a=a.view(2, 3), b=b), module(c=a, b=b), module(a=a.double(), b=b)]
    assert len({base, *map(hash_state, others)}) == 5


class Payload:
    """What a hostile file would carry: code that runs when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch executed",)


def test_a_file_with_code_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Payload()}, "hostile.pth")
    Path("plain.pth").write_bytes(pickle.dumps(Payload(), protocol=2))
    for name in ("hostile.pth", "plain.pth"):
        with pytest.raises(DalibError, match="holds more than tensors and is not opened"):
            load_backbone("mobilenet_v2", name)
    assert not Path("executed").exists()


def test_files_that_do_not_fit_are_one_clear_line(original: nn.Module, tmp_path: Path) -> None:
    state = original.state_dict()
    without = {k: v for k, v in state.items() if not k.startswith("features.0.")}
    torch.save(without, tmp_path / "missing.pth")
    torch.save(state | {"extra.weight": torch.zeros(1)}, tmp_path / "unexpected.pth")
    torch.save(state | {"features.0.0.weight": torch.zeros(1)}, tmp_path / "shape.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({}, tmp_path / "empty.pth")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10")
    (tmp_path / "zero.pth").write_bytes(b"")
    (tmp_path / "text.npz").write_bytes(b"hello")
    for name, message in [
        ("missing.pth", "missing features.0.0.weight, features.0.1.weight, features.0.1.bias and 2 more"),
        ("unexpected.pth", "unexpected extra.weight; give a state dict of mobilenet_v2"),
        ("shape.pth", "of another shape features.0.0.weight"),
        ("list.pth", "is not a state dict"),
        ("empty.pth", "is not a state dict"),
        ("cut.safetensors", "cannot be read"),
        ("zero.pth", "is empty"),
        ("text.npz", "is not an int8 mobilenet_v2"),
    ]:
        with pytest.raises(DalibError) as error:
            load_backbone("mobilenet_v2", str(tmp_path / name))
        assert message in str(error.value) and "\n" not in str(error.value), name


def test_another_networks_file_names_the_first_few_keys(original: nn.Module, tmp_path: Path) -> None:
    torch.save(original.state_dict(), tmp_path / "mobilenet.pth")
    with pytest.raises(
        DalibError, match=r"do not fit resnet18: missing conv1.weight, bn1.weight, bn1.bias and \d+ more"
    ):
        load_backbone("resnet18", str(tmp_path / "mobilenet.pth"))


@pytest.fixture
def served(original: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A loopback server in place of torchvision's, and an empty torch.hub cache."""
    folder = tmp_path / "served"
    folder.mkdir()
    torch.save(original.state_dict(), folder / "raw.pth")
    digest = torch.hub.hashlib.sha256((folder / "raw.pth").read_bytes()).hexdigest()[:8]
    shutil.copy(folder / "raw.pth", folder / f"mobilenet_v2-{digest}.pth")
    shutil.copy(folder / "raw.pth", folder / "mobilenet_v2-00000000.pth")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    state = SimpleNamespace(name=f"mobilenet_v2-{digest}.pth", cache=tmp_path / "hub" / "hub" / "checkpoints")

    def stop() -> None:
        server.shutdown()
        server.server_close()

    def published(_name: str) -> dict[str, SimpleNamespace]:
        return {"IMAGENET1K_V1": SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}/{state.name}")}

    state.stop = stop
    monkeypatch.setattr(torchvision.models, "get_model_weights", published)
    yield state
    stop()


def test_imagenet_weights_are_downloaded_once_and_then_read_from_the_cache(
    served: SimpleNamespace, original: nn.Module
) -> None:
    backbone = load_backbone("mobilenet_v2", "imagenet")
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(backbone.module.eval()(x), features(original, x), atol=1e-6)
    assert backbone.weights == "imagenet" and (served.cache / served.name).is_file()
    served.stop()
    assert load_backbone("mobilenet_v2", "imagenet").weights_hash == backbone.weights_hash


@pytest.mark.parametrize(("name", "reason"), [("gone-1234abcd.pth", "404"), ("mobilenet_v2-00000000.pth", "hash")])
def test_a_failed_download_names_the_file_and_the_remedy(served: SimpleNamespace, name: str, reason: str) -> None:
    served.name = name
    with pytest.raises(DalibError) as error:
        load_backbone("mobilenet_v2", "imagenet")
    message = str(error.value)
    assert reason in message and f"/{name} where there is a network" in message and "\n" not in message
    assert message.endswith(f"weights = 'PATH/{name}'")
    assert not (served.cache / name).exists()


def test_without_a_network_the_message_names_torchvisions_own_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(url: str, **_: object) -> None:
        raise URLError(OSError("Temporary failure in name resolution"))

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    with pytest.raises(DalibError, match=r"fetch https://download.pytorch.org/models/resnet18-f37072fd.pth where"):
        load_backbone("resnet18", "imagenet")


def test_dataparallel_prefixes_are_removed_from_safetensors_too(tmp_path: Path) -> None:
    save_file({"module.a": torch.ones(2)}, tmp_path / "x.safetensors")
    assert list(read_state(tmp_path / "x.safetensors")) == ["a"]


def test_a_head_is_kept_only_when_asked_for_and_is_no_part_of_the_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = create_model("resnet18")
    torch.save(whole.state_dict(), tmp_path / "whole.pth")
    weights = str(tmp_path / "whole.pth")
    plain, kept = load_backbone("resnet18", weights), load_backbone("resnet18", weights, head=True)
    assert plain.head is None and kept.head is not None and plain.weights_hash == kept.weights_hash
    assert torch.equal(kept.head.weight, whole.fc.weight)
    states = [Network(b, K).state_dict() for b in (plain, kept)]
    assert [*states[0]] == [*states[1]]
    assert Network(kept, K).pretrained_head is kept.head and Network(plain, K).pretrained_head is None
    assert load_backbone("tiny", "pretrained", head=True).head is None


def test_the_int8_weights_bring_a_head(shared_data: Path) -> None:
    backbone = load_backbone("mobilenet_v2", str(shared_data / "mobilenetv2_imagenet_int8.npz"), head=True)
    assert backbone.head is not None and backbone.head.in_features == backbone.dim == 1280
    assert len(hash_state(backbone.head)) == 64


def _resnet() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return load_backbone("resnet18", "none").module.state_dict()


WRAPPED: dict[str, Any] = {
    "model.": lambda s: {"state_dict": {f"model.{k}": v for k, v in s.items()}, "epoch": 3},
    "_orig_mod.": lambda s: {f"_orig_mod.{k}": v for k, v in s.items()},
    "backbone.": lambda s: {**{f"backbone.{k}": v for k, v in s.items()}, "head.weight": torch.zeros(31, 512)},
    "model_state_dict": lambda s: {"model_state_dict": s, "optimizer_state_dict": {}, "epoch": 1},
    "state_dict_ema": lambda s: {"state_dict_ema": s},
    "encoder_q": lambda s: {"state_dict": {f"module.encoder_{q}.{k}": v for q in "qk" for k, v in s.items()}},
    "counters": lambda s: {**s, "total_ops": torch.zeros(1), "layer1.total_params": torch.zeros(1)},
    "numbers": lambda s: {"model": s, "best": np.float64(0.7), "args": argparse.Namespace(lr=1)},
    "deep": lambda s: {"net": {f"algorithm.network.backbone.{k}": v for k, v in s.items()}},
}


FOUND = {
    "model.": "below 'state_dict', 'model.'",
    "_orig_mod.": "below '_orig_mod.'",
    "backbone.": "below 'backbone.', 1 other entries left behind",
    "model_state_dict": "below 'model_state_dict'",
    "state_dict_ema": "below 'state_dict_ema'",
    "encoder_q": "below 'state_dict', 'module.', 'encoder_q.', 120 other entries left behind",
    "deep": "below 'net', 'algorithm.network.backbone.'",
    "numbers": "below 'model'",
}


@pytest.mark.parametrize("suffix", [".pth", ".ckpt", ".pth.tar", ".bin"])
@pytest.mark.parametrize("name", WRAPPED)
def test_weights_are_found_inside_what_training_programs_write(name: str, suffix: str, tmp_path: Path) -> None:
    state = _resnet()
    torch.save(WRAPPED[name](state), tmp_path / f"w{suffix}")
    with pytest.warns(UserWarning, match=re.escape(FOUND[name])) if name in FOUND else nullcontext():
        loaded = load_backbone("resnet18", str(tmp_path / f"w{suffix}")).module.state_dict()
    assert loaded.keys() == state.keys() and all(torch.equal(v, state[k]) for k, v in loaded.items())


@pytest.mark.parametrize("core", ["core", "_core"])
def test_numbers_beside_weights_are_read_whichever_numpy_wrote_them(core: str, tmp_path: Path) -> None:
    """NumPy 1 calls the module numpy.core, NumPy 2 numpy._core; both stand in checkpoints that people have."""
    import pickle

    class Renamed(pickle._Pickler):
        def save_global(self, obj: Any, name: str | None = None) -> None:
            module, name = obj.__module__, name or obj.__qualname__
            parts = module.split(".")
            if parts[0] == "numpy" and parts[1:2] in (["core"], ["_core"]):
                module = ".".join(["numpy", core, *parts[2:]])
            self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())
            self.memoize(obj)

    Renamed.dispatch = dict(Renamed.dispatch) | {type(Renamed): Renamed.save_global}  # type: ignore[attr-defined]
    before = torch.serialization.get_safe_globals()
    pickles = type("Pickles", (), {"Pickler": Renamed, "dumps": None, "dump": None, "__name__": "pickles"})
    torch.save({"model": _resnet(), "best": np.float64(0.7), "curve": np.arange(3.0)}, tmp_path / "w.pth", pickles)
    assert f"numpy.{core}.multiarray".encode() in (tmp_path / "w.pth").read_bytes()
    with pytest.warns(UserWarning, match="below 'model'"):
        load_backbone("resnet18", str(tmp_path / "w.pth"))
    assert set(torch.serialization.get_safe_globals()) == set(before), "what was allowed is so for this file alone"


NOT_WEIGHTS = {
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer.*git lfs pull"),
    "page": (b"\n<!DOCTYPE html><html></html>", "web page"),
    "empty": (b"", "is empty"),
}


@pytest.mark.parametrize(("content", "reason"), NOT_WEIGHTS.values(), ids=NOT_WEIGHTS)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_that_is_no_weights_is_called_what_it_is(
    content: bytes, reason: str, suffix: str, tmp_path: Path
) -> None:
    (tmp_path / f"w{suffix}").write_bytes(content)
    with pytest.raises(DalibError, match=reason):
        load_backbone("resnet18", str(tmp_path / f"w{suffix}"))


@pytest.mark.parametrize("frozen", [False, True])
def test_a_dalib_model_is_a_start_for_the_next(frozen: bool, tmp_path: Path) -> None:
    backbone = load_backbone("tiny", "pretrained", frozen=frozen)
    fitted = Trainer(TrainConfig(steps=1, batch_size=4, backbone_rate=1.0), device="cpu").fit(
        ALGORITHMS.get("mean_teacher")(), make_image_task(16, side=72), backbone
    )
    path = save_model(fitted, tmp_path / "model")
    with pytest.warns(UserWarning, match=r"the network of a dalib model \(mean_teacher on tiny\)"):
        again = load_backbone("tiny", str(path)).module.state_dict()
    trained = fitted.backbone.module.state_dict()
    assert all(torch.equal(value, trained[name].cpu()) for name, value in again.items())
    assert frozen == torch.equal(again["stem.0.weight"], backbone.module.state_dict()["stem.0.weight"])
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    with pytest.raises(DalibError, match="is damaged: its checksum is another"):
        load_backbone("tiny", str(path))


def test_a_dalib_model_that_leaves_no_network_of_its_own_says_so(tmp_path: Path) -> None:
    backbone = load_backbone("tiny", "pretrained")
    recipe = TrainConfig(steps=1, batch_size=4)
    fitted = Trainer(recipe, device="cpu").fit(ALGORITHMS.get("lora")(), make_image_task(16, side=72), backbone)
    path = save_model(fitted, tmp_path / "model")
    with pytest.raises(DalibError, match=r"\(a dalib model, lora on tiny\) do not fit tiny: missing"):
        load_backbone("tiny", str(path))


ODD: dict[str, tuple[Any, str]] = {
    "whole numbers": (lambda s: {k: v.to(torch.int8) for k, v in s.items()}, "of whole numbers conv1.weight"),
    "sparse": (lambda s: {**s, "conv1.weight": s["conv1.weight"].flatten(1).to_sparse()}, "sparse numbers in conv1"),
    "complex": (lambda s: {**s, "conv1.weight": s["conv1.weight"].cfloat()}, "complex numbers in conv1"),
    "quantised": (
        lambda s: {**s, "conv1.weight": torch.quantize_per_tensor(s["conv1.weight"], 0.1, 0, torch.qint8)},
        "quantised numbers in conv1",
    ),
    "meta": (lambda s: {k: v.to("meta") for k, v in s.items()}, "holds no numbers in conv1"),
    "more than it holds": (lambda s: {**s, "more": torch.zeros(1).expand(10**11)}, r"more is \(100000000000,\), more"),
}


@pytest.mark.parametrize(("make", "words"), ODD.values(), ids=ODD)
def test_numbers_that_are_no_weights_are_refused(make: Any, words: str, tmp_path: Path) -> None:
    torch.save(make(_resnet()), tmp_path / "w.pth")
    with pytest.raises(DalibError, match=words):
        load_backbone("resnet18", str(tmp_path / "w.pth"))


def test_the_one_dictionary_of_tensors_is_taken_whatever_its_name(tmp_path: Path) -> None:
    torch.save({"optimizer": {"state": {}}, "my_weights": _resnet(), "epoch": 1}, tmp_path / "w.pth")
    with pytest.warns(UserWarning, match="found below 'my_weights'"):
        load_backbone("resnet18", str(tmp_path / "w.pth"))
    torch.save({"teacher": _resnet(), "student": _resnet()}, tmp_path / "two.pth")
    with pytest.raises(DalibError, match=r"not a state dict .* but holds teacher, student"):
        load_backbone("resnet18", str(tmp_path / "two.pth"))


def test_a_flipped_bit_in_what_pytorch_wrote_is_told(tmp_path: Path) -> None:
    torch.save(_resnet(), tmp_path / "w.pth")
    content = bytearray((tmp_path / "w.pth").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.warns(UserWarning, match="the checksum of .* is another"):
        load_backbone("resnet18", str(tmp_path / "w.pth"))


@pytest.mark.parametrize("facts", ["5", "{}", "[" * 100_000, '{"backbone": 3, "algorithm": "dann"}'])
def test_a_dalib_model_whose_facts_are_none_is_one_line(facts: str, tmp_path: Path) -> None:
    save_file(dict(_resnet()), tmp_path / "w.safetensors", metadata={"dalib": facts})
    with pytest.raises(DalibError, match="a dalib model whose facts are damaged"):
        load_backbone("resnet18", str(tmp_path / "w.safetensors"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"\x89HDF\r\n", "HDF5"), (b"\x1f\x8b123", "gzip"), (b"hello", "no file that PyTorch wrote"), (b"GGUF1", "GGUF")],
)
def test_a_file_of_another_program_is_called_what_it_is(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(DalibError, match=reason):
        load_backbone("resnet18", str(tmp_path / "w.pth"))


def test_weights_with_nan_and_files_of_two_networks_are_refused(tmp_path: Path) -> None:
    state = {k: v.clone() for k, v in _resnet().items()}
    torch.save({f"{who}.{k}": v for who in ("student", "teacher") for k, v in state.items()}, tmp_path / "two.pth")
    with pytest.raises(DalibError, match="2 networks that fit"):
        load_backbone("resnet18", str(tmp_path / "two.pth"))
    state["layer1.0.conv1.weight"][0] = float("nan")
    torch.save(state, tmp_path / "nan.pth")
    with pytest.raises(DalibError, match=r"NaN or infinity in layer1\.0\.conv1\.weight"):
        load_backbone("resnet18", str(tmp_path / "nan.pth"))
