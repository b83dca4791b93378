"""Every weight of the embedded world, made from nothing: `python -m unicorn.scenes.pretrain [--out DIR] [--quick]`.

First the two towers, on pairs of pictures and dense captions; then the language model, on text alone. What they came
to is measured on scenes that they never saw and written beside them, as `card.json` and `card.md`. The scenes of
pre-training have ids under "pretrain/"; those of seeds and benchmarks have others.
"""

import argparse
import hashlib
import json
import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from unicorn.scenes import WEIGHTS
from unicorn.scenes.card import Card, markdown
from unicorn.scenes.pretrain_language_model import (
    COURSES,
    LanguageModelSettings,
    question_accuracy,
    train_language_model,
)
from unicorn.scenes.pretrain_towers import TowersSettings, train_towers
from unicorn.scenes.probe import GATE, GATED, PairedVectors, gap, probes, swap_test
from unicorn.scenes.tokenizer import build_tokenizer
from unicorn.scenes.towers import ImageTower, TextTower

LIMIT = 10_000_000  # bytes of all weights together


def main() -> None:
    """Train, measure, save."""
    parser = argparse.ArgumentParser(description="Train the embedded world's towers and language model from nothing.")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="the folder to write to")
    parser.add_argument("--quick", action="store_true", help="a few steps of everything, to see that it runs")
    arguments = parser.parse_args()
    if arguments.quick and arguments.out == WEIGHTS:
        parser.error("--quick needs --out: it would overwrite the shipped weights.")
    towers, language_model, scenes = TowersSettings(), LanguageModelSettings(), 24_000
    if arguments.quick:
        towers = TowersSettings(pairs=2_560)
        language_model = LanguageModelSettings(
            courses=tuple(replace(course, steps=10, lesson_steps=5) for course in COURSES)
        )
        scenes = 1_500
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # batches are made in a process of their own
    card = pretrain(arguments.out, towers, language_model, scenes)
    print(markdown(card, GATED))


def pretrain(out: Path, towers: TowersSettings, language_model: LanguageModelSettings, scenes: int) -> Card:
    """Train everything, save it to `out`, and describe it in a card; `scenes` are drawn for the probes."""
    tokenizer = build_tokenizer()
    start = time.monotonic()
    image_tower, text_tower = train_towers(tokenizer, towers, out)
    save(image_tower, out / "image_tower")
    save(text_tower, out / "text_tower", tokenizer)
    towers_seconds = time.monotonic() - start
    start = time.monotonic()
    model = train_language_model(tokenizer, language_model)
    save(model, out / "language_model", tokenizer)
    language_model_seconds = time.monotonic() - start
    card = {
        "recipe": {"towers": asdict(towers), "language model": asdict(language_model), "torch": torch.__version__},
        "threads": dict.fromkeys(("towers", "language model"), torch.get_num_threads()),
        "seconds": {"towers": round(towers_seconds), "language model": round(language_model_seconds)},
        "weights": {
            name: sum(weight.numel() for weight in part.parameters())
            for name, part in (("image_tower", image_tower), ("text_tower", text_tower), ("language_model", model))
        },
        **measure(out, tokenizer, scenes),
        "files": fingerprints(out),
    }
    write_card(card, out)
    return card


def save(model: PreTrainedModel, folder: Path, tokenizer: PreTrainedTokenizerFast | None = None) -> None:
    """The model in half precision, with its tokenizer where it reads text."""
    model.half().save_pretrained(folder)
    model.float()
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)


def measure(out: Path, tokenizer: PreTrainedTokenizerFast, scenes: int) -> Card:
    """The figures of the card, of the models as they were saved; a sixth of the scenes is held out from the probes."""
    image_tower = ImageTower.from_pretrained(out / "image_tower", dtype=torch.float32)
    text_tower = TextTower.from_pretrained(out / "text_tower", dtype=torch.float32)
    model = LlamaForCausalLM.from_pretrained(out / "language_model", dtype=torch.float32)
    train, test = PairedVectors.make(scenes, image_tower, text_tower, tokenizer).split(scenes - scenes // 6)
    accuracies = probes(train, test)
    return {
        "probes": _rounded(accuracies),
        "gate": {"least": GATE, "passed": all(accuracies["image"][name] >= GATE for name in GATED)},
        "swaps": _rounded(swap_test(image_tower, text_tower, tokenizer)),
        "gap": _rounded(gap(train, test)),
        "answers from captions": _rounded(question_accuracy(model, tokenizer)),
    }


def fingerprints(out: Path) -> dict[str, dict[str, Any]]:
    """Bytes and SHA-256 of every file of weights and of every tokenizer."""
    files = sorted([*out.glob("*/model.safetensors"), *out.glob("*/tokenizer.json")])
    return {
        file.relative_to(out).as_posix(): {
            "bytes": file.stat().st_size,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
        for file in files
    }


def write_card(card: Card, out: Path) -> None:
    """`card.json`, and the same for people as `card.md`."""
    (out / "card.json").write_text(json.dumps(card, indent=2) + "\n")
    (out / "card.md").write_text(markdown(card, GATED))


def _rounded(figures: Any) -> Any:
    """Four digits of every number of a nested mapping."""
    if isinstance(figures, dict):
        return {name: _rounded(value) for name, value in figures.items()}
    return round(figures, 4)


if __name__ == "__main__":
    main()
