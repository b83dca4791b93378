"""A stage's run in Weights & Biases."""

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only


class StageWandbLogger(WandbLogger):
    """Ends its W&B run with its stage; Lightning's own would have the next stage log into the same run."""

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Finish the run, as failed where the stage was."""
        super().finalize(status)
        self.experiment.finish(exit_code=0 if status == "success" else 1)
