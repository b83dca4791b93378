"""Captions that are like an earlier one are turned away, asked for again, and never kept; the first stays."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.synthesis.stand_ins import SETTINGS, ListedSeeds, ScriptedGenerator, files_of
from tests.synthesis.test_stages import read_rejects
from unicorn.dataset import DatasetWriter
from unicorn.errors import UserError
from unicorn.llm import Request, Result
from unicorn.records import Caption
from unicorn.synthesis.captions import write_captions
from unicorn.synthesis.deduplication import Deduplication, signatures
from unicorn.synthesis.settings import Duplicates
from unicorn.synthesis.stage import StageReport

NEAR = replace(SETTINGS, words_max=99, duplicates=Duplicates.near, english=False)

Answer = Callable[[Request], Result]


def words(key: object, count: int = 50) -> list[str]:
    draw = random.Random(str(key))
    return [f"{draw.choice('bdfgklmnprst')}{draw.randrange(9999)}" for _ in range(count)]


def text(key: object) -> str:
    return f"The image shows {' '.join(words(key))} on the table."


def caption(said: list[str]) -> Caption:
    return Caption(id="", text=" ".join(said), domain="", generator="", prompt_version="")


def answer(request: Request) -> Result:
    """Of every ten seeds the eighth is like the third, and the ninth nearly so, until it is asked again."""
    number = int(request.id.removeprefix("seed-"))
    third = text(f"seed-{number - number % 10 + 3}")
    match number % 10:
        case 8:
            return Result(id=request.id, text=third.replace("The", "the", 1))  # whatever the attempt
        case 9 if request.seed % 2:
            return Result(id=request.id, text=third.replace("on the table", "on the big table"))
        case _:
            return Result(id=request.id, text=text(request.id))


def captions_of(folder: Path, count: int = 50, block: int = 20, settings=NEAR, by=answer) -> StageReport:
    with DatasetWriter(folder, block_size=block) as writer:
        return write_captions(writer, ListedSeeds(count), ScriptedGenerator(by), settings, 0)


def kept(folder: Path, block: int = 20) -> list[str]:
    with DatasetWriter(folder, block_size=block) as writer:
        part = writer.finished_captions()
        return [caption.id for number in part.blocks for caption in part.read(number)]


def test_the_first_stays_and_the_others_are_asked_for_again(tmp_path: Path) -> None:
    report = captions_of(tmp_path)
    eighths = {f"seed-{number}" for number in range(8, 50, 10)}
    rejects = {reject.id: reject for reject in read_rejects(tmp_path, "captions")}
    assert {id_ for id_, reject in rejects.items() if reject.reason == "duplicate"} == eighths
    assert {reject.attempts for reject in rejects.values()} == {3}
    assert set(kept(tmp_path)).isdisjoint(rejects)
    assert {f"seed-{number}" for number in range(3, 50, 10)} <= set(kept(tmp_path))
    assert report.unusable["near-duplicate"] > report.rejected.get("near-duplicate", 0)
    assert report.unusable["duplicate"] == 3 * len(eighths)


def test_over_blocks_too_and_the_same_after_a_run_that_broke_off(tmp_path: Path) -> None:
    def same_in_each_block(request: Request) -> Result:
        return Result(id=request.id, text=text(int(request.id.removeprefix("seed-")) % 20))

    left = 45

    def breaks(request: Request) -> Result:
        nonlocal left
        left -= 1
        if not left:
            raise UserError("the server is gone")
        return same_in_each_block(request)

    captions_of(tmp_path / "whole", by=same_in_each_block)
    assert kept(tmp_path / "whole") == [f"seed-{number}" for number in range(20)]
    with pytest.raises(UserError, match="gone"):
        captions_of(tmp_path / "broken", by=breaks)
    captions_of(tmp_path / "broken", by=same_in_each_block)
    assert files_of(tmp_path / "broken") == files_of(tmp_path / "whole")


def test_a_run_that_ends_while_it_screens_asks_for_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise UserError("the disk is full")

    captions_of(tmp_path / "whole")
    with monkeypatch.context() as patched:
        patched.setattr(Deduplication, "verdicts", breaks)
        with pytest.raises(UserError, match="the disk is full"):
            captions_of(tmp_path / "broken")
    asked: list[tuple[str, int]] = []

    def kept_answer(request: Request) -> Result:
        asked.append((request.id, request.seed))
        return answer(request)

    captions_of(tmp_path / "broken", by=kept_answer)
    assert len(asked) == len(set(asked))
    assert files_of(tmp_path / "broken") == files_of(tmp_path / "whole")


def test_signatures_that_are_gone_are_made_again(tmp_path: Path) -> None:
    def same_in_each_block(request: Request) -> Result:
        number = int(request.id.removeprefix("seed-"))
        if number >= 40:
            raise UserError("the server is gone")
        return Result(id=request.id, text=text(number % 40))

    with pytest.raises(UserError, match="gone"):
        captions_of(tmp_path, by=same_in_each_block)
    for path in (tmp_path / "signatures").iterdir():
        path.unlink()
    captions_of(tmp_path, by=lambda request: Result(id=request.id, text=text(int(request.id[5:]) % 40)))
    assert kept(tmp_path) == [f"seed-{number}" for number in range(40)]


def test_words_in_common_decide() -> None:
    """By the formula of the module: of captions with J = 0.9 nearly all collide, with J = 0.5 nearly none."""

    def share_that_collides(changed: int) -> float:
        pairs: list[list[Caption]] = []
        for trial in range(200):
            first = words(trial, 200)
            second = [*first[: 200 - changed], *words(f"other {trial}", changed)]
            pairs.append([caption(first), caption(second)])
        made = [signatures(pair, near=True) for pair in pairs]
        return sum((pair[0, 1:] == pair[1, 1:]).any() for pair in made) / len(made)

    assert share_that_collides(0) == 1.0
    assert share_that_collides(8) > 0.8  # J = 190 / 206 = 0.92
    assert share_that_collides(66) < 0.06  # J = 132 / 264 = 0.5
    assert share_that_collides(199) == 0.0


def test_a_near_duplicate_stays_where_only_exact_ones_are_looked_for(tmp_path: Path) -> None:
    report = captions_of(tmp_path, settings=replace(NEAR, duplicates=Duplicates.exact))
    assert set(report.unusable) == {"duplicate"}
