"""Trains a run on two processes; Lightning starts this file once for each of them."""

import sys
from dataclasses import replace
from pathlib import Path

from tests.training.tiny import ALIGN, LORA, Training
from unicorn.data.settings import DataSettings
from unicorn.training.trainer import TrainerSettings

if __name__ == "__main__":
    Training(Path(sys.argv[1])).run(
        "two",
        ALIGN,
        replace(LORA, dropout=0.0),  # which is keyed by rank
        data=DataSettings(row_length=64, rows_per_pack=1),
        trainer=TrainerSettings(accelerator="cpu", devices=2, strategy="ddp"),
    )
