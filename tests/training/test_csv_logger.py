"""Rows by step, whatever interrupts them."""

import csv
from pathlib import Path

import pytest

from unicorn.errors import UserError
from unicorn.training.csv_logger import CsvLogger


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_are_steps_and_columns_whatever_was_logged(tmp_path: Path) -> None:
    logger = CsvLogger(tmp_path)
    logger.log_metrics({"loss": 2.5}, 1)
    logger.log_metrics({"loss": 1.5}, 2)
    logger.log_metrics({"validation/loss": 1.25}, 2)
    logger.save()
    assert rows(tmp_path / "metrics.csv") == [
        {"step": "1", "loss": "2.5", "validation/loss": ""},
        {"step": "2", "loss": "1.5", "validation/loss": "1.25"},
    ]


def test_a_resumed_run_replaces_the_rows_from_its_first_step_on(tmp_path: Path) -> None:
    logger = CsvLogger(tmp_path)
    for step in (1, 2, 3, 4):
        logger.log_metrics({"loss": float(step)}, step)
    logger.finalize("failed")
    resumed = CsvLogger(tmp_path)
    resumed.save()  # before its first step: nothing may be lost
    assert len(rows(tmp_path / "metrics.csv")) == 4
    resumed.log_metrics({"loss": 30.0}, 3)
    resumed.save()
    assert [(row["step"], row["loss"]) for row in rows(tmp_path / "metrics.csv")] == [
        ("1", "1.0"),
        ("2", "2.0"),
        ("3", "30.0"),
    ]


def test_a_table_has_rows_for_each_step_and_goes_on_with_the_numbers(tmp_path: Path) -> None:
    columns = ["id", "generated"]
    logger = CsvLogger(tmp_path)
    for step in (2, 4):
        logger.log_metrics({"loss": 1.0}, step)
        logger.log_table("said", columns, [["a", f'line\n"{step}"'], ["b", ""]], step=step)
    logger.save()
    resumed = CsvLogger(tmp_path)
    resumed.log_metrics({"loss": 0.5}, 3)
    resumed.save()
    assert rows(tmp_path / "said.csv") == [
        {"step": "2", "id": "a", "generated": 'line\n"2"'},
        {"step": "2", "id": "b", "generated": ""},
    ]
    resumed.log_table("said", columns, [["a", "better"]], step=4)
    resumed.finalize("success")
    assert [(row["step"], row["generated"]) for row in rows(tmp_path / "said.csv")][2:] == [("4", "better")]
    assert [row["loss"] for row in rows(tmp_path / "metrics.csv")] == ["1.0", "0.5"]


@pytest.mark.parametrize("content", ["loss\n2.5\n", "step,loss\none,2.5\n", 'step,loss\n1,"2.5'])
def test_a_file_that_is_no_log_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "metrics.csv").write_text(content)
    with pytest.raises(UserError, match=r"metrics\.csv is damaged\. Delete it to train on"):
        CsvLogger(tmp_path)


def test_what_is_logged_is_in_the_file_before_there_is_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: seconds[0])
    logger = CsvLogger(tmp_path)
    for step in range(1, 8):
        seconds[0] += 10.0
        logger.log_metrics({"loss": 1.0}, step)
        assert (tmp_path / "metrics.csv").exists() == (step >= 3)
    assert len(rows(tmp_path / "metrics.csv")) == 6  # written at 30 and at 60 seconds
