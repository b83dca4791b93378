"""The two towers, trained contrastively on pairs of a picture and its dense caption (CLIP's loss, arXiv 2103.00020)."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset
from transformers import PreTrainedTokenizerFast

from unicorn.scenes.graph import Scene, keyed_random, sample_scene, sample_text
from unicorn.scenes.hard_negatives import group
from unicorn.scenes.language import dense_caption
from unicorn.scenes.optimization import Optimization
from unicorn.scenes.render import render
from unicorn.scenes.towers import ImageTower, ImageTowerConfig, TextTower, TextTowerConfig

Pairs = dict[str, Tensor]


@dataclass(kw_only=True)
class TowersSettings:
    """How the towers are trained."""

    pairs: int = 204_800
    batch: int = 128  # pairs
    group: int = 8  # scenes that differ in one thing or two
    learning_rate: float = 2e-3  # of AdamW
    matrix_learning_rate: float = 2e-3  # of Muon
    temperature: float = 0.005
    warm_up: float = 0.04  # share of the steps

    @property
    def steps(self) -> int:
        """Batches in all."""
        return self.pairs // self.batch


class PairBatches(Dataset[Pairs]):
    """Batch number i: pairs in groups that differ in little; a function of i alone."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, settings: TowersSettings) -> None:
        self.tokenizer = tokenizer
        self.settings = settings

    def __len__(self) -> int:
        return self.settings.steps

    def __getitem__(self, index: int) -> Pairs:
        rng = keyed_random("pretrain", "towers", index)
        scenes: list[Scene] = []
        while len(scenes) < self.settings.batch:
            scene = sample_scene(rng)
            scene = replace(scene, text=scene.text or sample_text(rng))  # reading takes practice
            scenes += group(scene, rng, self.settings.group)
        return {
            "pixel_values": torch.from_numpy(np.stack([np.asarray(render(scene, rng)) for scene in scenes])),
            **self.tokenizer([dense_caption(scene, rng) for scene in scenes], padding=True, return_tensors="pt"),
        }


def train_towers(
    tokenizer: PreTrainedTokenizerFast, settings: TowersSettings, out: Path
) -> tuple[ImageTower, TextTower]:
    """Both towers, trained from nothing; saved to `out` in full precision ten times on the way."""
    torch.manual_seed(0)
    image_tower = ImageTower(ImageTowerConfig()).train()
    image_tower.convolutions.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    text_tower = TextTower(TextTowerConfig(vocab_size=len(tokenizer))).train()
    optimization = Optimization(
        nn.ModuleList([image_tower, text_tower]),
        settings.steps,
        settings.learning_rate,
        settings.matrix_learning_rate,
        settings.warm_up,
    )
    batches = DataLoader(PairBatches(tokenizer, settings), batch_size=None, num_workers=1, prefetch_factor=8)
    target = torch.arange(settings.batch)
    start = time.monotonic()
    for step, batch in enumerate(batches, 1):
        images = image_tower(batch["pixel_values"])
        texts = _encode_texts(text_tower, batch["input_ids"], batch["attention_mask"])
        logits = images @ texts.T / settings.temperature
        loss = (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2
        optimization.step(loss)
        if step % 20 == 0:
            right = (logits.argmax(1) == target).float().mean().item()
            print(
                f"towers {step}/{settings.steps} loss {loss.item():.3f} right {right:.3f} "
                f"{time.monotonic() - start:.0f} s"
            )
        if step % max(1, settings.steps // 10) == 0:
            image_tower.save_pretrained(out / "image_tower")
            text_tower.save_pretrained(out / "text_tower")
    return image_tower.eval(), text_tower.eval()


def _encode_texts(tower: TextTower, input_ids: Int[Tensor, "n length"], mask: Int[Tensor, "n length"]) -> Tensor:
    """Vectors of a batch, computed in four parts of texts of like length, so that little is padding."""
    lengths = mask.sum(1)
    order = lengths.argsort()
    parts = [
        tower(input_ids[rows, : lengths[rows].max()], mask[rows, : lengths[rows].max()]) for rows in order.chunk(4)
    ]
    return torch.cat(parts)[order.argsort()]
