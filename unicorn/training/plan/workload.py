"""What a stage reads: the lengths of its samples, counted where the dataset is there, and stated where it is not."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from jaxtyping import Int64

from unicorn.data.conversation import ConversationTokenizer, Sample
from unicorn.data.packing import deal, fill_rows
from unicorn.data.settings import DataSettings
from unicorn.dataset.manifest import Manifest, Part
from unicorn.dataset.reader import UnicornDataset
from unicorn.dataset.split import is_training
from unicorn.errors import UserError
from unicorn.model.settings import ModelSettings
from unicorn.records import Caption, Instruction
from unicorn.training.plan.settings import StatedWork
from unicorn.training.stage import Stage

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

TOKENIZED = 2048
"""Records that are tokenised to know the lengths of all."""
STEPS = 8
"""Steps that are packed to know what a step holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackShape:
    """The largest pack of some steps, each number the largest by itself."""

    rows: int
    length: int
    images: int
    supervised: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepWork:
    """What a step holds over all devices, the mean of some steps."""

    tokens: float
    """Of samples."""
    images: float
    supervised: float
    attended: float
    """Pairs of tokens of one sample: the sum of squared lengths."""
    slots: float
    """Tokens with padding."""
    slots_attended: float
    """Pairs of slots of one row."""
    packs: float
    """Of each device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The samples of an epoch."""

    samples: int
    lengths: Int64[np.ndarray, " drawn"]
    """Tokens of samples, of all or of some that stand for all."""
    answer_lengths: Int64[np.ndarray, " drawn"]
    """Of these, the supervised."""
    source: str
    """Where the numbers come from, to be read."""

    def steps(self, batch: int) -> int:
        """Steps of an epoch."""
        return -(-self.samples // batch)

    def step(self, batch: int, data: DataSettings, ranks: int) -> tuple[StepWork, PackShape]:
        """Steps of `batch` samples, packed and dealt as training does it: their mean, and their largest pack."""
        generator = np.random.default_rng(0)
        batch = min(batch, self.samples)
        counts: list[list[int]] = []
        packs: list[list[int]] = []
        for _ in range(STEPS):
            drawn = generator.choice(len(self.lengths), batch, replace=batch > len(self.lengths))
            lengths, answers = self.lengths[drawn], self.answer_lengths[drawn]
            rows = fill_rows(lengths.tolist(), data.row_length)
            dealt = [pack for packs in deal(rows, ranks, data.rows_per_pack) for pack in packs]
            shapes = [(len(pack), max(int(lengths[row].sum()) for row in pack)) for pack in dealt if pack]
            samples = [[sample for row in pack for sample in row] for pack in dealt if pack]
            packs += [
                [rows, length, len(drawn), int(answers[drawn].sum())]
                for (rows, length), drawn in zip(shapes, samples, strict=True)
            ]
            counts.append(
                [
                    int(lengths.sum()),
                    batch,
                    int(answers.sum()),
                    int((lengths**2).sum()),
                    sum(rows * length for rows, length in shapes),
                    sum(rows * length**2 for rows, length in shapes),
                    len(dealt) // ranks,
                ]
            )
        mean = np.mean(counts, axis=0).tolist()
        return StepWork(**dict(zip(StepWork.__slots__, mean, strict=True))), PackShape(
            **dict(zip(PackShape.__slots__, np.max(packs, axis=0).tolist(), strict=True))
        )


def workload(stage: Stage, stated: StatedWork, model: ModelSettings, folder: Path, row_length: int) -> Workload:
    """Counted in the dataset of `folder` as far as it is there, and stated otherwise.

    Raises UserError where no sample fits a row.
    """
    part = Part.INSTRUCTIONS if Part.INSTRUCTIONS in stage.parts else Part.CAPTIONS
    dataset = _finished(folder, part)
    if dataset and (tokenizer := _tokenizer(model)):
        return _counted(dataset, part, stage, ConversationTokenizer(tokenizer, model.visual_tokens), row_length)
    tokens = stated.tokens + model.visual_tokens - 1
    if tokens > row_length:
        raise UserError(f"planned samples of {tokens} tokens do not fit data.row_length={row_length}. Raise it.")
    source = f"{stated.tokens} tokens a sample and {model.visual_tokens - 1} more for its image"
    return Workload(
        samples=dataset.count(part) if dataset else stated.samples,
        lengths=np.array([tokens]),
        answer_lengths=np.array([stated.supervised]),
        source=f"{f'the {part} of {folder}' if dataset else 'as stated'}, {source}",
    )


def _finished(folder: Path, part: Part) -> UnicornDataset | None:
    """The dataset, if there is one whose part can be trained on."""
    if not (folder / "manifest.json").exists():
        return None
    parts = Manifest.load(folder).parts
    needed = (Part.CAPTIONS, Part.EMBEDDINGS, part)
    if not all(each in parts and parts[each].complete for each in needed):
        return None
    return UnicornDataset.open(folder, verify=False)


def _tokenizer(model: ModelSettings) -> "PreTrainedTokenizerFast | None":
    """The tokeniser, which a language model that is known by its shape alone has not."""
    try:
        return model.tokenizer()
    except UserError:
        return None


def _counted(
    dataset: UnicornDataset, part: Part, stage: Stage, tokenizer: ConversationTokenizer, row_length: int
) -> Workload:
    count = dataset.count(part)
    chosen = np.random.default_rng(0).choice(count, min(count, TOKENIZED), replace=False)
    drawn = _Drawn(dataset, frozenset(chosen.tolist()))
    samples = [
        item.sample
        for item in stage.samples(cast("UnicornDataset", drawn), tokenizer)
        if is_training(item.caption_id) and isinstance(item.sample, Sample) and len(item.sample.input_ids) <= row_length
    ]
    if not samples:
        raise UserError(f"none of {len(chosen)} {part} of {dataset.path} can be trained on: see data.row_length.")
    how = "all tokenised" if len(chosen) == count else f"{len(chosen):,} of {count:,} drawn and tokenised"
    return Workload(
        samples=round(count * len(samples) / len(chosen)),
        lengths=np.array([len(sample.input_ids) for sample in samples]),
        answer_lengths=np.array([int(sample.supervised.sum()) for sample in samples]),
        source=f"the {part} of {dataset.path}, {how}",
    )


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Some records of a dataset, asked for as those of a whole one are."""

    dataset: UnicornDataset
    chosen: frozenset[int]

    def captions(self) -> Iterator[Caption]:
        return (caption for row, caption in enumerate(self.dataset.captions()) if row in self.chosen)

    def instructions(self) -> Iterator[Instruction]:
        return (instruction for row, instruction in enumerate(self.dataset.instructions()) if row in self.chosen)
