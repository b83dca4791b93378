"""The two towers, trained contrastively on pairs of a picture and its dense caption (CLIP's loss, arXiv 2103.00020)."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset
from transformers import PreTrainedTokenizerFast, get_cosine_schedule_with_warmup

from unicorn.scenes.graph import keyed_random, sample_scene
from unicorn.scenes.hard_negatives import group
from unicorn.scenes.language import dense_caption
from unicorn.scenes.render import render
from unicorn.scenes.towers import ImageTower, ImageTowerConfig, TextTower, TextTowerConfig

Pairs = dict[str, Tensor]


@dataclass(kw_only=True)
class TowersSettings:
    """How the towers are trained."""

    pairs: int = 320_000
    batch: int = 128  # pairs, in groups of four
    learning_rate: float = 1e-3
    temperature: float = 0.02
    warm_up: float = 0.04  # share of the steps
    weight_decay: float = 0.01

    @property
    def steps(self) -> int:
        """Batches in all."""
        return self.pairs // self.batch


class PairBatches(Dataset[Pairs]):
    """Batch number i: pairs in groups of four that differ in one thing; a function of i alone."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, settings: TowersSettings) -> None:
        self.tokenizer = tokenizer
        self.settings = settings

    def __len__(self) -> int:
        return self.settings.steps

    def __getitem__(self, index: int) -> Pairs:
        rng = keyed_random("pretrain", "towers", index)
        scenes = [scene for _ in range(self.settings.batch // 4) for scene in group(sample_scene(rng), rng)]
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
    weights = [*image_tower.parameters(), *text_tower.parameters()]
    optimizer = torch.optim.AdamW(weights, settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = get_cosine_schedule_with_warmup(optimizer, round(settings.warm_up * settings.steps), settings.steps)
    batches = DataLoader(PairBatches(tokenizer, settings), batch_size=None, num_workers=1, prefetch_factor=8)
    target = torch.arange(settings.batch)
    start = time.monotonic()
    for step, batch in enumerate(batches, 1):
        images = image_tower(batch["pixel_values"])
        texts = _encode_texts(text_tower, batch["input_ids"], batch["attention_mask"])
        logits = images @ texts.T / settings.temperature
        loss = (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
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
