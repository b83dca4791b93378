"""What a run's folder says of a stage: what it was made with, whether it is finished, and what it learned."""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from lightning.pytorch.utilities import rank_zero_only
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from unicorn.dataset.manifest import differences
from unicorn.errors import UserError
from unicorn.files import replacing
from unicorn.report.metrics import METRICS, read_metrics, write_metrics
from unicorn.stamp import check_stamps, damaged, read_sealed, stamps_of, write_sealed


@dataclass(frozen=True)
class StageRecord:
    """A stage's folder: `stage.json`, checkpoints, at the end `weights.safetensors` and `metrics.json`.

    `stage.json` says what the stage was made with and, once it is finished, the stamps of weights and numbers.
    """

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
        return self._path.exists() and "files" in self._read()

    @rank_zero_only
    def begin(self, made_by: dict[str, Any]) -> None:
        """Say what the stage is made with. Raises UserError if the folder holds one made otherwise."""
        if self._path.exists():
            self.require(made_by)
        elif self.checkpoints.exists() or self.weights.exists():
            raise damaged(self._path, "is not there, which says what made the rest", self._remedy)
        else:
            write_sealed(self._path, made_by)

    def require(self, made_by: dict[str, Any]) -> None:
        """Raise UserError, naming the keys that differ, unless the stage was made with all this."""
        made_with = self._read()
        shared = {key: made_with.get(key) for key in made_by}
        if differing := differences(shared, orjson.loads(orjson.dumps(made_by))):
            raise UserError(
                f"{self.folder} was made with other settings: {'; '.join(differing)}. "
                "Choose another name=, or delete the folder."
            )

    @property
    def _path(self) -> Path:
        return self.folder / "stage.json"

    @property
    def _remedy(self) -> str:
        return f"Restore it from a copy, or delete {self.folder} and train again."

    def _read(self) -> dict[str, Any]:
        return read_sealed(self._path, self._remedy)

    def digest(self) -> str:
        """SHA-256 of the weights."""
        with self.weights.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def finish(self, learned: dict[str, Tensor], metrics: dict[str, float]) -> None:
        """Keep what was learned and the numbers; the checkpoints have served. Raises UserError on a full disk."""
        with replacing(self.weights) as path:
            try:
                save_file({name: weight.contiguous() for name, weight in learned.items()}, path)
            except SafetensorError as error:
                raise OSError(error) from error  # it wraps what the system said
        write_metrics(self.folder, metrics)
        write_sealed(self._path, self._read() | {"files": stamps_of(self.folder, [self.weights.name, METRICS])})
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def metrics(self) -> dict[str, float]:
        """The numbers. Raises UserError, naming the file, if weights or numbers are not as they were written."""
        check_stamps(self.folder, self._read()["files"], self._remedy)
        return read_metrics(self.folder)

    def restore(self, module: nn.Module) -> None:
        """Put what was learned into a module that has these weights.

        Raises UserError, naming the file, if weights or numbers are not as they were written.
        """
        check_stamps(self.folder, self._read()["files"], self._remedy)
        weights = load_file(self.weights)
        if unexpected := module.load_state_dict(weights, strict=False).unexpected_keys:
            raise UserError(f"{self.weights} does not fit: the model has no {unexpected[0]}. Delete {self.folder}.")
