"""Several processes encode one dataset, and leave what one would have left."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread, Timer

import numpy as np
import pytest

from tests.synthesis.stand_ins import (
    SETTINGS,
    HashTower,
    ListedSeeds,
    ScriptedGenerator,
    as_encoder,
    files_of,
    good_answer,
)
from tests.torture.contents import contents
from unicorn.dataset import DatasetWriter, hand_ins
from unicorn.errors import UserError
from unicorn.llm import Request, Result
from unicorn.synthesis.captions import write_captions
from unicorn.synthesis.embeddings import hand_in_embeddings, write_embeddings
from unicorn.synthesis.ranks import Ranks

ROOT = Path(__file__).parent.parent.parent
COUNT, BLOCK = 150, 20


def captioned(folder: Path, answer: Callable[[Request], Result] = good_answer) -> Path:
    with DatasetWriter(folder, block_size=BLOCK) as writer:
        write_captions(writer, ListedSeeds(COUNT), ScriptedGenerator(answer), SETTINGS, 0)
    return folder


def finish(folder: Path, tower: HashTower, ranks: Ranks) -> dict[str, bytes]:
    with DatasetWriter(folder, block_size=BLOCK) as writer:
        report = write_embeddings(writer, as_encoder(tower), SETTINGS, ranks)
    assert report.written == COUNT
    return files_of(folder)


@pytest.fixture
def alone(tmp_path: Path) -> dict[str, bytes]:
    return finish(captioned(tmp_path / "alone"), HashTower(), Ranks())


def test_three_ranks_leave_what_one_leaves(tmp_path: Path, alone: dict[str, bytes]) -> None:
    folder = captioned(tmp_path / "shared")
    towers = [HashTower() for _ in range(3)]
    for rank in (2, 1):
        hand_in_embeddings(folder, as_encoder(towers[rank]), SETTINGS, Ranks(rank=rank, world_size=3))
    assert finish(folder, towers[0], Ranks(rank=0, world_size=3)) == alone
    assert [sum(map(len, tower.batches)) for tower in towers] == [60, 50, 40]  # blocks 0 3 6, 1 4 7 and 2 5
    assert not (folder / "handed-in").exists()


def test_what_was_handed_in_before_a_kill_is_not_encoded_again(tmp_path: Path, alone: dict[str, bytes]) -> None:
    folder = captioned(tmp_path / "shared")
    second = Ranks(rank=1, world_size=2)
    hand_in_embeddings(folder, as_encoder(HashTower()), SETTINGS, second)
    again = HashTower()
    assert hand_in_embeddings(folder, as_encoder(again), SETTINGS, second).written == 0
    assert again.loaded == 0
    assert finish(folder, HashTower(), Ranks(rank=0, world_size=2)) == alone
    assert hand_in_embeddings(folder, as_encoder(again), SETTINGS, second).written == 0  # all is finished


@pytest.mark.parametrize("change", ["space", "dtype"])
def test_what_another_tower_handed_in_is_not_taken(tmp_path: Path, alone: dict[str, bytes], change: str) -> None:
    folder = captioned(tmp_path / "shared")
    other = HashTower(lambda _, vectors: vectors[:, ::-1])
    if change == "space":
        other.space = "other"
    else:
        other.made_by["dtype"] = "bfloat16"
    hand_in_embeddings(folder, as_encoder(other), SETTINGS, Ranks(rank=1, world_size=2))
    tower = HashTower()
    hand_in_embeddings(folder, as_encoder(tower), SETTINGS, Ranks(rank=1, world_size=2))
    assert tower.loaded == 1
    assert finish(folder, HashTower(), Ranks(rank=0, world_size=2)) == alone


def test_what_was_handed_in_of_other_captions_is_not_taken(tmp_path: Path, alone: dict[str, bytes]) -> None:
    def other(request: Request) -> Result:
        return Result(id=request.id, text=f"{request.messages[-1].content} lies below a chair in the morning.")

    before = captioned(tmp_path / "before", other)
    hand_in_embeddings(before, as_encoder(HashTower()), SETTINGS, Ranks(rank=1, world_size=2))
    after = captioned(tmp_path / "after")
    (before / "handed-in").rename(after / "handed-in")
    tower = HashTower()
    assert hand_in_embeddings(after, as_encoder(tower), SETTINGS, Ranks(rank=1, world_size=2)).written > 0
    assert finish(after, HashTower(), Ranks(rank=0, world_size=2)) == alone


def test_a_rank_that_fails_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = captioned(tmp_path)
    second = Ranks(rank=1, world_size=2)

    def spoil(texts: Sequence[str], vectors: np.ndarray) -> np.ndarray:
        return np.where([["thing 70 " in text] for text in texts], np.nan, vectors)

    with pytest.raises(UserError, match="norm nan of caption seed-70"):
        hand_in_embeddings(folder, as_encoder(HashTower(spoil)), SETTINGS, second)
    monkeypatch.setattr(hand_ins, "GRACE_SECONDS", 0.1)
    with pytest.raises(
        UserError,
        match=r"^rank 1, whose block 3 is, has failed: .* seed-70.*\. Start all processes again",
    ):
        finish(folder, HashTower(), Ranks(rank=0, world_size=2))
    hand_in_embeddings(folder, as_encoder(HashTower()), SETTINGS, second)
    tower = HashTower()
    finish(folder, tower, Ranks(rank=0, world_size=2))
    assert tower.loaded == 0  # its own blocks were kept


def test_a_rank_that_is_started_again_takes_its_failure_back(tmp_path: Path, alone: dict[str, bytes]) -> None:
    folder = captioned(tmp_path / "shared")
    (folder / "handed-in").mkdir()
    (folder / "handed-in" / "rank-1").write_text("killed")
    second = Thread(
        target=hand_in_embeddings,
        args=(folder, as_encoder(HashTower()), SETTINGS, Ranks(rank=1, world_size=2)),
    )
    Timer(1, second.start).start()
    assert finish(folder, HashTower(), Ranks(rank=0, world_size=2)) == alone


@pytest.mark.parametrize("lived", [True, False])
def test_a_rank_that_gives_no_sign_of_life_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, lived: bool
) -> None:
    folder = captioned(tmp_path)
    if lived:
        (folder / "handed-in").mkdir()
        (folder / "handed-in" / "rank-1").touch()
    monkeypatch.setattr(hand_ins, "PATIENCE_SECONDS", 0.6)
    with (
        caplog.at_level("INFO"),
        pytest.raises(
            UserError,
            match=r"^rank 1, whose block 1 is, has given no sign of life for 0 minutes\. Start all processes again",
        ),
    ):
        finish(folder, HashTower(), Ranks(rank=0, world_size=2))
    assert "waiting for block 1, which is rank 1's" in caplog.messages


def test_every_batch_is_a_sign_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = captioned(tmp_path)
    monkeypatch.setattr(SETTINGS, "encode_batch", 10)
    times: list[int] = []

    def look(_: Sequence[str], vectors: np.ndarray) -> np.ndarray:
        times.append((folder / "handed-in" / "rank-1").stat().st_mtime_ns)
        time.sleep(0.02)
        return vectors

    hand_in_embeddings(folder, as_encoder(HashTower(look)), SETTINGS, Ranks(rank=1, world_size=2))
    assert len(set(times)) == len(times) == 7


def test_only_encoding_is_shared() -> None:
    Ranks().require_embeddings_alone(["captions", "embeddings"])
    Ranks(rank=1, world_size=2).require_embeddings_alone(["embeddings"])
    with pytest.raises(
        UserError, match=r"^2 processes can only encode: run the other stages in one, without a launcher"
    ):
        Ranks(rank=0, world_size=2).require_embeddings_alone(["captions", "embeddings"])


def test_two_processes_of_a_launcher_encode_side_by_side(tmp_path: Path) -> None:
    def synthesize(where: str, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        folder = tmp_path / where
        folder.mkdir(exist_ok=True)
        small = ("dataset=made", "seeds.count=60", "synthesis.block_size=16")
        command = [sys.executable, str(ROOT / "synthesize.py"), *small, *arguments]
        variables = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
        return subprocess.Popen(command, cwd=folder, env=variables, stderr=subprocess.PIPE, text=True)

    def end(process: "subprocess.Popen[str]") -> None:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said

    end(synthesize("alone"))
    end(synthesize("together", "stages=[captions,instructions]"))
    both = [
        synthesize("together", "stages=[embeddings]", WORLD_SIZE="2", RANK=str(rank), LOCAL_RANK=str(rank))
        for rank in range(2)
    ]
    for process in both:
        end(process)
    alone, together = (contents(tmp_path / where / "made") for where in ("alone", "together"))
    assert together == alone
