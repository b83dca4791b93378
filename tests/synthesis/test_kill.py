"""Killed with SIGKILL at random moments and run again, synthesis ends with the same bytes."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.synthesis.killed_run import run
from tests.synthesis.stand_ins import files_of
from unicorn.dataset import DatasetWriter
from unicorn.errors import UserError


def start(folder: Path) -> "subprocess.Popen[bytes]":
    """A run in a process of its own, once it has begun."""
    command = [sys.executable, "-m", "tests.synthesis.killed_run", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    assert process.stdout.readline() == b"running\n"
    return process


def kill_until_done(folder: Path, kills: int) -> list[set[str]]:
    """What files there were after each kill."""
    left: list[set[str]] = []
    for _ in range(kills):
        with start(folder) as process:
            time.sleep(random.uniform(0.0, 0.6))
            process.kill()
        left.append(set(files_of(folder)))
    run(folder)
    return left


@pytest.mark.parametrize("kills", [6, pytest.param(50, marks=pytest.mark.slow)])
def test_the_dataset_is_the_same_byte_for_byte(tmp_path: Path, kills: int) -> None:
    run(tmp_path / "whole")
    left = kill_until_done(tmp_path / "killed", kills)
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "whole")
    assert any("journal" in name for names in left for name in names), "no kill hit a journal"
    assert (tmp_path / "killed" / "rejects").exists()


def test_a_dataset_that_another_process_writes_is_left_alone(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        while not (tmp_path / "captions").exists():
            time.sleep(0.01)
        with pytest.raises(UserError, match="another process"), DatasetWriter(tmp_path, block_size=100):
            pass
        process.kill()
