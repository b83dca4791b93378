"""The towers of the world at work: texts and pictures -> unit vectors, in batches."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from unicorn.scenes.towers import ImageTower, TextTower

if TYPE_CHECKING:
    from PIL.Image import Image
    from transformers import PreTrainedTokenizerFast


class SceneTextTower:
    """Captions -> unit vectors, in batches of captions of like length."""

    def __init__(self, tower: TextTower, tokenizer: "PreTrainedTokenizerFast", batch_size: int) -> None:
        self._tower = tower.eval()
        self._tokenizer = tokenizer
        self._batch_size = batch_size
        self.context: int = tower.config.max_position_embeddings
        self.cut = 0

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        """Unit-norm float32 vectors, row by row those of `texts`, cut at the tower's length."""
        self.cut += sum(len(ids) > self.context for ids in self._tokenizer(list(texts))["input_ids"])
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        vectors = torch.empty(len(texts), self._tower.config.dimension)
        for start in range(0, len(order), self._batch_size):
            rows = order[start : start + self._batch_size]
            batch = self._tokenizer(
                [texts[row] for row in rows],
                padding=True,
                truncation=True,
                max_length=self.context,
                return_tensors="pt",
            )
            vectors[rows] = self._tower(batch["input_ids"], batch["attention_mask"])
        return vectors


class SceneImageTower:
    """Pictures of the world -> unit vectors."""

    def __init__(self, tower: ImageTower, batch_size: int) -> None:
        self._tower = tower.eval()
        self._batch_size = batch_size

    @torch.inference_mode()
    def encode(self, images: "Sequence[Image]") -> Float[Tensor, "n d"]:
        """Unit-norm float32 vectors, row by row those of `images`, which are reduced or enlarged to fit."""
        batches = [
            self._tower(torch.stack([self._pixels(image) for image in images[start : start + self._batch_size]]))
            for start in range(0, len(images), self._batch_size)
        ]
        return torch.cat(batches)

    def _pixels(self, image: "Image") -> UInt8[Tensor, "side side 3"]:
        side = self._tower.config.image_size
        fitted = image.convert("RGB")
        if fitted.size != (side, side):
            fitted = fitted.resize((side, side))
        return torch.from_numpy(np.array(fitted))
