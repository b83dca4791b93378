"""What a run's folder says of a stage: what it was made with, whether it is finished, and what it learned."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_only
from safetensors.torch import load_file, save_file
from torch import nn

from unicorn.dataset.manifest import differences
from unicorn.errors import UserError
from unicorn.files import replacing
from unicorn.report.metrics import METRICS, read_metrics, write_metrics
from unicorn.training.stage import trainable


@dataclass(frozen=True)
class StageRecord:
    """A stage's folder: `stage.json`, checkpoints, at the end `weights.safetensors` and `metrics.json`."""

    folder: Path

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints lie until the stage is finished."""
        return self.folder / "checkpoints"

    @property
    def weights(self) -> Path:
        """The weights that the stage trained."""
        return self.folder / "weights.safetensors"

    @property
    def finished(self) -> bool:
        """Whether it is done, weights, numbers and all."""
        return (self.folder / METRICS).exists()

    @rank_zero_only
    def begin(self, made_by: dict[str, Any]) -> None:
        """Say what the stage is made with. Raises UserError if the folder holds one made otherwise."""
        if self._path.exists():
            self.require(made_by)
        else:
            with replacing(self._path) as temporary:
                temporary.write_text(json.dumps(made_by, indent=2) + "\n")

    def require(self, made_by: dict[str, Any]) -> None:
        """Raise UserError, naming the keys that differ, unless the stage was made with all this."""
        made_with = json.loads(self._path.read_text())
        shared = {key: made_with.get(key) for key in made_by}
        if differing := differences(shared, json.loads(json.dumps(made_by))):
            raise UserError(
                f"{self.folder} was made with other settings: {'; '.join(differing)}. "
                "Choose another name=, or delete the folder."
            )

    @property
    def _path(self) -> Path:
        return self.folder / "stage.json"

    def digest(self) -> str:
        """SHA-256 of the weights."""
        with self.weights.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def finish(self, module: nn.Module, metrics: dict[str, float]) -> None:
        """Keep what was trained and the numbers; the checkpoints have served."""
        with replacing(self.weights) as path:
            save_file({name: weight.data.contiguous() for name, weight in trainable(module).items()}, path)
        write_metrics(self.folder, metrics)
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def restore(self, module: nn.Module) -> dict[str, float]:
        """Put what was trained back into a module that has these weights, and return the numbers."""
        weights = load_file(self.weights)
        if unexpected := module.load_state_dict(weights, strict=False).unexpected_keys:
            raise UserError(f"{self.weights} does not fit: the model has no {unexpected[0]}. Delete {self.folder}.")
        return read_metrics(self.folder)
