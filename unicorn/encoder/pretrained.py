"""Halves of transformers' models of two towers, with one clear line for what is none."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from unicorn.device import choose_device
from unicorn.encoder.halves import Half
from unicorn.errors import UserError, in_a_line

# The encoder that reads a checkpoint of each kind, as config.json names it.
ENCODERS = {"clip": "clip", "siglip": "siglip2", "siglip2": "siglip2"}

# One of them holds the words; without any, transformers makes a tokenizer that knows none, and says nothing.
VOCABULARIES = ("tokenizer.json", "vocab.json", "spiece.model", "tokenizer.model")


def read_config(folder: Path, *kinds: str) -> Any:
    """The configuration of a checkpoint. Raises UserError, naming the folder, if it is of none of these kinds."""
    import transformers

    with _reading(folder, "config.json of such a model"):
        found = str(orjson.loads((folder / "config.json").read_bytes())["model_type"])
    if found not in kinds:
        key = "encoder.language_model" if "llama" in kinds else "encoder.checkpoint"
        fits = found in ENCODERS and kinds[0] in ENCODERS
        remedy = f"Set encoder={ENCODERS[found]}" if fits else f"Choose another {key}"
        wanted = " or ".join(map(repr, kinds))
        raise UserError(f"the checkpoint in {folder} is of kind {found!r}, where {wanted} is needed. {remedy}.")
    architectures = {
        "clip": transformers.CLIPConfig,
        "llama": transformers.LlamaConfig,
        "siglip": transformers.SiglipConfig,
        "siglip2": transformers.Siglip2Config,
    }
    with _reading(folder, "config.json of such a model"):
        return architectures[found].from_pretrained(folder)


def check_dimension(folder: Path, found: int, wanted: int) -> None:
    """Raises UserError if the vectors of the checkpoint are not as long as those that are wanted."""
    if found != wanted:
        raise UserError(
            f"the towers in {folder} make {found} dimensions, and encoder.dimension is {wanted}. "
            f"Set encoder.dimension={found}, or choose another encoder.checkpoint."
        )


def load_half(architecture: Any, config: Any, folder: Path, half: Half) -> Any:
    """A model of one half, for inference. Raises UserError if its weights are not all there, or of other sizes.

    They are read from safetensors, or, where there are none, from pickles, of which no code is run.
    """
    import torch
    from transformers.utils import logging

    place = choose_device(half.device)
    level = logging.get_verbosity()
    logging.set_verbosity_error()  # it would warn of the other half's weights
    try:
        with _reading(folder, f"weights of a {architecture.__name__}"):
            model, report = architecture.from_pretrained(
                folder,
                config=config,
                dtype=getattr(torch, half.dtype),
                weights_only=True,
                attn_implementation="sdpa",
                ignore_mismatched_sizes=True,  # else it would say no more than that there are some
                output_loading_info=True,
            )
    finally:
        logging.set_verbosity(level)
    if lacking := {*report["missing_keys"], *(name for name, *_ in report["mismatched_keys"])}:
        raise UserError(
            f"the weights in {folder} are no whole {architecture.__name__}: {min(lacking)} is not among them, or of "
            "another size. Fetch them again, or choose another checkpoint."
        )
    return model.eval().to(place)


def load_tokenizer(folder: Path) -> Any:
    """The checkpoint's own tokenizer. Raises UserError, naming the folder, if there is none."""
    from transformers import AutoTokenizer

    with _reading(folder, "tokenizer"):
        if not any((folder / name).is_file() for name in VOCABULARIES):
            raise FileNotFoundError(f"none of {', '.join(VOCABULARIES)} is there")
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)


def load_preparation(processor: Any, folder: Path) -> Any:
    """How pictures become pixels. Raises UserError, naming the folder, if it does not say."""
    with _reading(folder, "image processor"):
        return processor.from_pretrained(folder)


@contextmanager
def _reading(folder: Path, what: str) -> Generator[None]:
    try:
        yield
    except Exception as error:  # transformers' loaders are not known by what they raise on damaged files
        raise UserError(
            f"the checkpoint in {folder} has no {what} that can be read: {in_a_line(error)}. Name another, or mend it."
        ) from error
