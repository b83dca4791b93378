"""Settings of a plan: the cards, and what is taken for true where nothing can be counted."""

from dataclasses import dataclass, field

from unicorn.errors import UserError
from unicorn.training.plan.card import Gpu


@dataclass(kw_only=True)
class StatedWork:
    """What a stage is taken to read where no dataset can be counted, and how well it uses the card."""

    samples: int
    tokens: int
    """Of a sample whose image fills one token; each further visual token adds one."""
    supervised: int
    """Of these, how many have a loss."""
    mfu: float
    """Share of the card's peak that the matrix products reach."""

    def __post_init__(self) -> None:
        if not 0 < self.mfu <= 1:
            raise UserError(f"mfu={self.mfu} of a planned stage: must lie above 0, and at 1 at most.")
        if not (self.samples >= 1 and 1 <= self.supervised < self.tokens):
            raise UserError(
                f"samples={self.samples}, tokens={self.tokens}, supervised={self.supervised} of a planned stage: "
                "at least one sample, and fewer supervised tokens than tokens."
            )


@dataclass(kw_only=True)
class PlanSettings:
    """What `plan=true` reckons with; the samples are the paper's (arXiv 2503.22655)."""

    gpu: Gpu = Gpu.h100
    gpus: int = 1
    headroom: float = 0.06
    """Share of the card's memory that is left to CUDA and to gaps between tensors."""
    align: StatedWork = field(
        default_factory=lambda: StatedWork(samples=1_243_195, tokens=180, supervised=178, mfu=0.55)
    )
    tune: StatedWork = field(default_factory=lambda: StatedWork(samples=471_000, tokens=450, supervised=200, mfu=0.45))

    def __post_init__(self) -> None:
        if self.gpus < 1:
            raise UserError(f"planning.gpus={self.gpus}: must be 1 or more.")
        if not 0 <= self.headroom < 1:
            raise UserError(f"planning.headroom={self.headroom}: must be a share, 0 or more and below 1.")
