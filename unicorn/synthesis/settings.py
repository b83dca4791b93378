"""The settings that the stages of synthesis share."""

from dataclasses import dataclass, field
from enum import StrEnum

from unicorn.errors import UserError


class Duplicates(StrEnum):
    """Which captions may not stand beside an earlier one."""

    keep = "keep"
    """All may: where the world is small, many are alike."""
    exact = "exact"
    """Those of the same words."""
    near = "near"
    """Those of nearly the same words, too."""


@dataclass(kw_only=True)
class TaskShares:
    """How the captions are shared out among the tasks, in proportion (the paper's counts, in thousands)."""

    multiple_choice: float = 171
    question_answering: float = 199
    complex_reasoning: float = 100


@dataclass(kw_only=True)
class VectorsSettings:
    """Vectors that exist already, in place of those that the text tower would make."""

    path: str = ""
    """A .npy, .safetensors or .parquet file; empty: the text tower makes them."""
    encoder: str = ""
    """The name of the space that they lie in: `space` of the encoder whose image tower is to read pictures."""

    def __post_init__(self) -> None:
        if bool(self.path) != bool(self.encoder):
            raise UserError(
                "synthesis.vectors.path names a file, and synthesis.vectors.encoder what made it: "
                "name both, or neither."
            )


@dataclass(kw_only=True)
class SynthesisSettings:
    """What a dense caption and an instruction are, and how patiently they are asked for."""

    block_size: int = 16384  # seeds in a shard, the unit that is finished or not
    max_attempts: int = 3  # before an item is given up
    densify: bool = True  # false: the seeds are the captions, as they are (the paper's ablation)
    words_min: int = 40  # of a dense caption
    words_max: int = 500
    duplicates: Duplicates = Duplicates.near  # captions that are turned away as like an earlier one
    english: bool = True  # turn away answers in another language
    pairs_min: int = 6  # questions, each with its answer, in an instruction
    pairs_max: int = 8
    instructed: float = 1.0  # share of the captions that get an instruction; 0.38 in the paper
    shares: TaskShares = field(default_factory=TaskShares)
    encode_batch: int = 256  # captions that the text tower encodes at once
    vectors: VectorsSettings = field(default_factory=VectorsSettings)

    def __post_init__(self) -> None:
        for key in ("block_size", "max_attempts", "words_min", "pairs_min", "encode_batch"):
            if getattr(self, key) < 1:
                raise UserError(f"synthesis.{key}={getattr(self, key)}: must be 1 or more.")
        for low, high in (("words_min", "words_max"), ("pairs_min", "pairs_max")):
            if getattr(self, low) > getattr(self, high):
                raise UserError(f"synthesis.{low} is larger than synthesis.{high}. Mend one of them.")
