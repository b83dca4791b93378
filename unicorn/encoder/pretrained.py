"""Halves of transformers' models of two towers, with one clear line for what is none."""

from pathlib import Path
from typing import Any

import orjson

from unicorn.device import choose_device
from unicorn.encoder.halves import Half
from unicorn.errors import UserError

# The encoder that reads a checkpoint of each kind, as config.json names it.
ENCODERS = {"clip": "clip", "siglip": "siglip2"}

# One of them holds the words; without any, transformers makes a tokenizer that knows none, and says nothing.
VOCABULARIES = ("tokenizer.json", "vocab.json", "spiece.model", "tokenizer.model")


def read_config(folder: Path, kind: str) -> Any:
    """The configuration of both halves. Raises UserError, naming the folder, if it is none of that kind."""
    import transformers

    found = _read_kind(folder)
    if found != kind:
        remedy = f"Set encoder={ENCODERS[found]}" if found in ENCODERS else "Choose another encoder.checkpoint"
        raise UserError(f"the checkpoint in {folder} is of kind {found!r}, where {kind!r} is needed. {remedy}.")
    architecture = {"clip": transformers.CLIPConfig, "siglip": transformers.SiglipConfig}[kind]
    try:
        return architecture.from_pretrained(folder)
    except (OSError, ValueError, TypeError) as error:
        raise _unreadable(folder, "config.json of towers", error) from error


def check_dimension(folder: Path, found: int, wanted: int) -> None:
    """Raises UserError if the vectors of the checkpoint are not as long as those that are wanted."""
    if found != wanted:
        raise UserError(
            f"the towers in {folder} make {found} dimensions, and encoder.dimension is {wanted}. "
            f"Set encoder.dimension={found}, or choose another encoder.checkpoint."
        )


def load_half(architecture: Any, config: Any, folder: Path, half: Half) -> Any:
    """A model of one half, for inference. Raises UserError if its weights are not all there."""
    import torch
    from transformers.utils import logging

    place = choose_device(half.device)
    level = logging.get_verbosity()
    logging.set_verbosity_error()  # it would warn of the other half's weights
    try:
        model, report = architecture.from_pretrained(
            folder, config=config, dtype=getattr(torch, half.dtype), use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise _unreadable(folder, "weights", error) from error
    finally:
        logging.set_verbosity(level)
    if report["missing_keys"]:
        raise UserError(
            f"the weights in {folder} are no whole {architecture.__name__}: {min(report['missing_keys'])} is not "
            "among them. Fetch them again, or choose another encoder.checkpoint."
        )
    return model.eval().to(place)


def load_tokenizer(folder: Path) -> Any:
    """The checkpoint's own tokenizer. Raises UserError, naming the folder, if there is none."""
    from transformers import AutoTokenizer

    if not any((folder / name).is_file() for name in VOCABULARIES):
        raise _unreadable(folder, "tokenizer", FileNotFoundError(f"none of {', '.join(VOCABULARIES)} is there."))
    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, ImportError, TypeError) as error:
        raise _unreadable(folder, "tokenizer", error) from error


def load_preparation(processor: Any, folder: Path) -> Any:
    """How pictures become pixels. Raises UserError, naming the folder, if it does not say."""
    try:
        return processor.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise _unreadable(folder, "image processor", error) from error


def _read_kind(folder: Path) -> str:
    try:
        return str(orjson.loads((folder / "config.json").read_bytes())["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(folder, "config.json of towers", error) from error


def _unreadable(folder: Path, what: str, error: Exception) -> UserError:
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return UserError(f"the checkpoint in {folder} has no {what} that can be read: {reason} Name another, or mend it.")
