"""Models in folders as transformers saves them: every weight comes from the file, or the folder is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from dalib.core.errors import DalibError, unknown


def find_folder(name: str, *bases: str | Path) -> Path | None:
    """The first of the folder of that name and those below the bases that holds a config.json."""
    path = _expand(name)
    return next(
        (place for place in (path, *(Path(b) / path for b in bases)) if (place / "config.json").is_file()), None
    )


def _expand(name: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError:  # `~nobody`
        return Path(name)


def load_saved(kind: Any, folder: Path, what: str, unused: Iterable[str] = ()) -> Any:
    """A model of a class of transformers, from local files; it runs no code of theirs.

    Args
        what: for messages: `the CLIP in 'FOLDER'`
        unused: beginnings of the names of weights that nobody asks for, so that they may be missing

    Raises
        DalibError: it cannot be loaded, or is not all there: transformers fills what is missing with random numbers and
            leaves layers out of which config.json says nothing
    """
    model, told = _load_quietly(kind, folder, what)
    other = sorted(str(entry[0]) for entry in told["mismatched_keys"])
    if other:
        raise DalibError(
            f"{what}: config.json and model.safetensors differ in the shape of {other[0]}; fetch both again"
        )
    missing = sorted(name for name in told["missing_keys"] if not name.startswith(tuple(unused)))
    if missing:
        raise DalibError(
            f"{what} lacks {len(missing)} of its weights ({missing[0]}), which would be random; fetch "
            "model.safetensors again, or save it by save_pretrained"
        )
    shapes = {_pattern(name) for name in model.state_dict()}
    beyond = sorted(name for name in told["unexpected_keys"] if any(_ends(_pattern(name), shape) for shape in shapes))
    if beyond:
        raise DalibError(
            f"{what} holds weights of layers that its config.json has not ({beyond[0]}); they are of two models: fetch "
            "both files again"
        )
    for name, value in model.state_dict().items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise DalibError(f"{what} holds nan or infinity in {name}; fetch model.safetensors again")
    return model.float()  # weights kept in half precision too: nothing is trained in it


def _load_quietly(kind: Any, folder: Path, what: str) -> tuple[Any, dict[str, Any]]:
    """The model and what transformers tells of its weights, without the report that it prints of them."""
    from transformers.utils import logging

    spoken, shown = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        model, told = kind.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise DalibError(f"cannot load {what} ({reason}); save it by save_pretrained") from None
    finally:
        logging.set_verbosity(spoken)
        if shown:
            logging.enable_progress_bar()
    return model, told


def _pattern(name: str) -> str:
    """The name of a weight without the number of its layer."""
    return re.sub(r"\d+", "#", name)


def _ends(name: str, shape: str) -> bool:
    return name == shape or name.endswith(f".{shape}")


def check_settings(given: Mapping[str, Any], kind: Any, where: str) -> None:
    """DalibError for a key of a table that transformers would keep and nobody reads, in it or in a table of its own.

    A table that transformers wrote is left alone: its other versions know other keys.

    Args
        kind: its class of transformers, `BertConfig`
        where: the table, as people say it: `clip.config`
    """
    if "transformers_version" in given:
        return
    try:
        plain = kind()
    except Exception:  # one that is made of others, and has none of its own
        return
    known = {*vars(plain), *plain.to_dict(), *getattr(kind, "attribute_map", {}), "model_type"}
    for key, value in given.items():
        if key not in known and (not isinstance(key, str) or callable(getattr(plain, key, callable))):
            near = sorted(name for name in known if not name.startswith("_"))
            raise unknown(f"setting of {where}", str(key), near, "keys as in a config.json")
        inner = getattr(plain, key, None)
        if isinstance(value, Mapping) and hasattr(inner, "to_diff_dict"):
            check_settings(value, type(inner), f"{where}.{key}")


def read_settings(file: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises
        DalibError: there is none
    """
    try:
        settings = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DalibError(f"{file} is no JSON ({str(error)[:100]}); fetch it again") from None
    if not isinstance(settings, dict):
        raise DalibError(f"{file} holds no object of settings; fetch it again")
    return settings
