"""From positions to tensors: the packs of one step of one rank."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from unicorn.data.packing import Pack
from unicorn.data.samples import Samples
from unicorn.dataset.reader import UnicornDataset
from unicorn.records import IGNORED
from unicorn.transfer.transfer import NoiseKey, Transfer


@dataclass(slots=True, kw_only=True)
class PackTensors:
    """One forward pass: rows of whole samples, each with positions from 0, and their images in order."""

    input_ids: Int64[Tensor, "rows length"]
    position_ids: Int64[Tensor, "rows length"]
    labels: Int64[Tensor, "rows length"]
    image_embeds: Float[Tensor, "images d"]


@dataclass(slots=True, kw_only=True)
class Step:
    """A step's packs for one rank, and the supervised tokens of the whole step over all ranks and packs."""

    packs: list[PackTensors]
    supervised: int
    tokens: int
    """Tokens of this rank's samples, padding left out."""
    attended: int
    """Pairs of tokens of one sample: the sum of the squared lengths of this rank's."""
    samples: list[int]
    """This rank's samples in the order of the packs, by their positions among those chosen."""


@dataclass(slots=True, kw_only=True)
class Collator:
    """Makes the tensors of packs: tokens from the samples, images by transfer from the captions' vectors."""

    samples: Samples
    chosen: Int64[np.ndarray, " chosen"]
    """The samples that packs are made of."""
    pictured: Int64[np.ndarray, " chosen"]
    """The caption row whose image each of them is shown."""
    dataset: UnicornDataset
    transfer: Transfer
    image_token_id: int
    visual_tokens: int
    seed: int

    def __call__(self, pack: Pack, epoch: int) -> PackTensors:
        """The tensors of a pack of positions among the chosen; of an empty one, an image that nothing is asked about.

        An empty pack keeps its rank in step with the others: it passes through all weights, without gradient.
        """
        if not pack:
            return self._empty()
        positions = [position for row in pack for position in row]
        tokens = iter(self.samples.tokens(self.chosen[positions]))
        length = max(int(self.samples.lengths[self.chosen[row]].sum()) for row in pack)
        input_ids = np.zeros((len(pack), length), np.int64)
        position_ids = np.zeros((len(pack), length), np.int64)
        labels = np.full((len(pack), length), IGNORED, np.int64)
        for number, row in enumerate(pack):
            end = 0
            for _ in row:
                ids, supervised = next(tokens)
                start, end = end, end + len(ids)
                input_ids[number, start:end] = ids
                position_ids[number, start:end] = np.arange(len(ids))
                labels[number, start:end] = np.where(supervised, ids, IGNORED)
            position_ids[number, end:] = np.arange(length - end)  # padding: a sample that none sees
        return PackTensors(
            input_ids=torch.from_numpy(input_ids),
            position_ids=torch.from_numpy(position_ids),
            labels=torch.from_numpy(labels),
            image_embeds=self.images(self.pictured[positions], epoch),
        )

    def _empty(self) -> PackTensors:
        placeholders = torch.full((1, self.visual_tokens), self.image_token_id)
        return PackTensors(
            input_ids=placeholders,
            position_ids=torch.arange(self.visual_tokens).unsqueeze(0),
            labels=torch.full_like(placeholders, IGNORED),
            image_embeds=torch.zeros(1, self.dataset.dimension),
        )

    def images(self, rows: Int64[np.ndarray, " n"], epoch: int) -> Float[Tensor, "n d"]:
        """What the model sees of the images of caption rows."""
        noise = NoiseKey(seed=self.seed, epoch=epoch, rows=rows)
        vectors = self.transfer.text(self.dataset.vectors(rows), self.dataset.domains(rows), noise)
        return torch.from_numpy(vectors)
