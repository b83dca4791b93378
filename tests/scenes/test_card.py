"""The shipped weights are those that their card describes, and the towers see what it says."""

import json
from functools import cache
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, LlamaForCausalLM

from unicorn.scenes import WEIGHTS
from unicorn.scenes.card import markdown
from unicorn.scenes.pretrain import LIMIT, fingerprints
from unicorn.scenes.pretrain_language_model import question_accuracy
from unicorn.scenes.probe import GATE, GATED, PairedVectors, gap, probe, swap_test
from unicorn.scenes.tokenizer import vocabulary
from unicorn.scenes.towers import ImageTower, TextTower

CARD: dict[str, Any] = json.loads((WEIGHTS / "card.json").read_text())


def test_files_are_those_of_the_card() -> None:
    assert fingerprints(WEIGHTS) == CARD["files"]
    assert {f"{name}/model.safetensors" for name in ("image_tower", "text_tower", "language_model")} < set(
        CARD["files"]
    )
    assert sum(file.stat().st_size for file in WEIGHTS.rglob("*") if file.is_file()) < LIMIT
    assert (WEIGHTS / "card.md").read_text() == markdown(CARD, GATED)


def test_the_card_says_whether_the_gate_is_passed() -> None:
    assert CARD["gate"]["passed"] == all(CARD["probes"]["image"][name] >= GATE for name in GATED)
    assert ("passed" if CARD["gate"]["passed"] else "missed") in (WEIGHTS / "card.md").read_text()


def test_the_gate_is_passed() -> None:
    assert CARD["gate"]["passed"]


def test_shipped_tokenizers_hold_the_vocabulary() -> None:
    for name in ("text_tower", "language_model"):
        tokenizer = AutoTokenizer.from_pretrained(WEIGHTS / name)
        assert tokenizer.convert_ids_to_tokens(range(len(tokenizer))) == vocabulary()


@cache
def vectors() -> tuple[PairedVectors, PairedVectors]:
    """Vectors of a few scenes, for training a probe and for reading it."""
    image_tower = ImageTower.from_pretrained(WEIGHTS / "image_tower", dtype=torch.float32)
    text_tower = TextTower.from_pretrained(WEIGHTS / "text_tower", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(WEIGHTS / "text_tower")
    return PairedVectors.make(5000, image_tower, text_tower, tokenizer).split(4000)


@pytest.mark.parametrize("name", GATED)
def test_probes_agree_with_the_card(name: str) -> None:
    train, test = vectors()
    accuracy = probe(name, train.image, train.scenes, test.image, test.scenes)
    assert accuracy == pytest.approx(CARD["probes"]["image"][name], abs=0.06)


def test_swaps_agree_with_the_card() -> None:
    image_tower = ImageTower.from_pretrained(WEIGHTS / "image_tower", dtype=torch.float32)
    text_tower = TextTower.from_pretrained(WEIGHTS / "text_tower", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(WEIGHTS / "text_tower")
    assert swap_test(image_tower, text_tower, tokenizer) == pytest.approx(CARD["swaps"], abs=0.03)


def test_the_gap_agrees_with_the_card() -> None:
    figures = gap(*vectors())
    for name in ("distance of the means", "paired cosine"):
        assert figures[name] == pytest.approx(CARD["gap"][name], abs=0.03)


def test_the_language_model_answers_as_the_card_says() -> None:
    model = LlamaForCausalLM.from_pretrained(WEIGHTS / "language_model", dtype=torch.float32)
    accuracies = question_accuracy(model, AutoTokenizer.from_pretrained(WEIGHTS / "language_model"), conversations=100)
    average, said = (sum(values.values()) / len(values) for values in (accuracies, CARD["answers from captions"]))
    assert average == pytest.approx(said, abs=0.08)
