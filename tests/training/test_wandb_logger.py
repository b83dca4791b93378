"""Every stage is a W&B run of its own, in one group; offline needs no login."""

import pytest

from tests.training.tiny import ALIGN, LORA, Training
from unicorn.training.logger import WandbSettings


@pytest.mark.slow
def test_every_stage_has_a_run_of_its_own(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_SILENT", "true")
    training.run("wandb", ALIGN, LORA, logger=WandbSettings(offline=True))
    for stage in ("align", "tune"):
        folder = training.folder / "wandb" / stage
        run_id = (folder / "wandb-id.txt").read_text()
        (recorded,) = folder.glob(f"wandb/offline-run-*-{run_id}/run-{run_id}.wandb")
        assert recorded.stat().st_size > 0
        assert len(training.losses("wandb", stage)) == 8  # metrics.csv is written all the same
