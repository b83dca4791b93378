"""One file, whatever interrupts it."""

import csv
from pathlib import Path

import pytest

from unicorn.errors import UserError
from unicorn.training.csv_logger import CsvLogger


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_are_steps_and_columns_whatever_was_logged(tmp_path: Path) -> None:
    logger = CsvLogger(tmp_path / "metrics.csv")
    logger.log_metrics({"loss": 2.5}, 1)
    logger.log_metrics({"loss": 1.5}, 2)
    logger.log_metrics({"validation/loss": 1.25}, 2)
    logger.save()
    assert rows(logger.path) == [
        {"step": "1", "loss": "2.5", "validation/loss": ""},
        {"step": "2", "loss": "1.5", "validation/loss": "1.25"},
    ]


def test_a_resumed_run_replaces_the_rows_from_its_first_step_on(tmp_path: Path) -> None:
    logger = CsvLogger(tmp_path / "metrics.csv")
    for step in (1, 2, 3, 4):
        logger.log_metrics({"loss": float(step)}, step)
    logger.finalize("failed")
    resumed = CsvLogger(logger.path)
    resumed.save()  # before its first step: nothing may be lost
    assert len(rows(logger.path)) == 4
    resumed.log_metrics({"loss": 30.0}, 3)
    resumed.save()
    assert [(row["step"], row["loss"]) for row in rows(logger.path)] == [("1", "1.0"), ("2", "2.0"), ("3", "30.0")]


@pytest.mark.parametrize("content", ["loss\n2.5\n", "step,loss\none,2.5\n", 'step,loss\n1,"2.5'])
def test_a_file_that_is_no_log_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "metrics.csv").write_text(content)
    with pytest.raises(UserError, match=r"metrics\.csv is damaged\. Delete it to train on"):
        CsvLogger(tmp_path / "metrics.csv")
