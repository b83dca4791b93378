"""Stages 1 and 2: what is written, what is retried, what is rejected, and what is not asked for twice."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.synthesis.stand_ins import SETTINGS, ListedSeeds, ScriptedGenerator, files_of, good_answer
from unicorn.dataset import DatasetWriter
from unicorn.dataset.shards import iterate_instructions
from unicorn.errors import UserError
from unicorn.llm import Request, Result
from unicorn.records import Caption, Instruction, Reject, Role, Task
from unicorn.synthesis import request_loop
from unicorn.synthesis.captions import write_captions
from unicorn.synthesis.instructions import write_instructions
from unicorn.synthesis.settings import SynthesisSettings, TaskShares
from unicorn.synthesis.stage import StageReport, report_table

BLOCK = 20
Answer = Callable[[Request], Result]


def captions_of(
    folder: Path, answer: Answer = good_answer, count: int = 50, settings: SynthesisSettings = SETTINGS
) -> tuple[StageReport, ScriptedGenerator]:
    generator = ScriptedGenerator(answer)
    with DatasetWriter(folder, block_size=BLOCK) as writer:
        return write_captions(writer, ListedSeeds(count), generator, settings, 0), generator


def instructions_of(
    folder: Path, answer: Answer = good_answer, settings: SynthesisSettings = SETTINGS, seed: int = 0
) -> tuple[StageReport, ScriptedGenerator]:
    generator = ScriptedGenerator(answer)
    with DatasetWriter(folder, block_size=BLOCK) as writer:
        return write_instructions(writer, generator, settings, seed), generator


def read_captions(folder: Path) -> list[Caption]:
    with DatasetWriter(folder, block_size=BLOCK) as writer:
        part = writer.finished_captions()
        return [caption for block in part.blocks for caption in part.read(block)]


def read_instructions(folder: Path) -> list[Instruction]:
    paths = sorted((folder / "instructions").glob("*.parquet"))
    return [instruction for path in paths for instruction in iterate_instructions(path)]


def read_rejects(folder: Path, part: str) -> list[Reject]:
    paths = sorted((folder / "rejects").glob(f"{part}-*.jsonl"))
    return [Reject(**json.loads(line)) for path in paths for line in path.read_text().splitlines()]


def test_seeds_that_are_not_densified_are_the_captions_and_nothing_is_asked(tmp_path: Path) -> None:
    report, generator = captions_of(tmp_path, settings=replace(SETTINGS, densify=False))
    assert generator.requests == []
    assert report.written == 50
    assert [(caption.id, caption.text) for caption in read_captions(tmp_path)] == [
        (seed.id, seed.text) for seed in ListedSeeds(50)
    ]
    with pytest.raises(UserError, match=r"made otherwise .*generator was None"):
        captions_of(tmp_path)


def test_every_seed_becomes_a_caption_in_the_order_of_the_seeds(tmp_path: Path) -> None:
    report, generator = captions_of(tmp_path)
    captions = read_captions(tmp_path)
    assert [caption.id for caption in captions] == [seed.id for seed in ListedSeeds(50)]
    assert [caption.domain for caption in captions] == [seed.domain for seed in ListedSeeds(50)]
    assert all(f"thing {number} stands" in caption.text for number, caption in enumerate(captions))
    assert {caption.generator for caption in captions} == {"scripted"}
    assert (report.written, report.rejected) == (50, {})
    assert len(generator.requests) == 50


def test_an_unusable_answer_is_asked_for_again_with_another_seed(tmp_path: Path) -> None:
    tried: dict[str, list[int]] = {}

    def second_time_lucky(request: Request) -> Result:
        tried.setdefault(request.id, []).append(request.seed)
        first = len(tried[request.id]) == 1 and request.id.endswith("7")
        return Result(id=request.id, text="Too short.") if first else good_answer(request)

    report, _ = captions_of(tmp_path, second_time_lucky)
    assert report.written == 50
    assert report.unusable == {"too short": 5}
    assert Counter(len(set(seeds)) for seeds in tried.values()) == {1: 45, 2: 5}


def test_what_no_attempt_makes_good_is_rejected_with_its_reason_and_last_answer(tmp_path: Path) -> None:
    def faulty(request: Request) -> Result:
        match request.id:
            case "seed-3":
                return Result(id=request.id, text="I'm sorry, I cannot.")
            case "seed-30":
                return Result(id=request.id, error="timed out")
            case "seed-31":
                return replace(good_answer(request), finish_reason="length")
            case _:
                return good_answer(request)

    report, generator = captions_of(tmp_path, faulty)
    rejects = read_rejects(tmp_path, "captions")
    assert [(reject.id, reject.reason, reject.attempts) for reject in rejects] == [
        ("seed-3", "refused", 3),
        ("seed-30", "no answer", 3),
        ("seed-31", "truncated", 3),
    ]
    assert rejects[0].answer == "I'm sorry, I cannot."
    assert rejects[1].answer == "timed out"
    assert report.rejected == {"refused": 1, "no answer": 1, "truncated": 1}
    assert report.written == len(read_captions(tmp_path)) == 47
    assert len(generator.requests) == 47 + 3 * 3


def test_an_item_without_any_result_is_asked_for_again(tmp_path: Path) -> None:
    class Forgetful(ScriptedGenerator):
        def generate(self, requests: Iterable[Request]) -> Iterator[Result]:
            results = list(super().generate(requests))
            yield from results[: max(1, len(results) - 2)]

    with DatasetWriter(tmp_path, block_size=BLOCK) as writer:
        report = write_captions(writer, ListedSeeds(4), Forgetful(good_answer), SETTINGS, 0)
    assert report.written == 4


def test_a_finished_part_asks_for_nothing_and_reports_what_is_there(tmp_path: Path) -> None:
    def refuses_one(request: Request) -> Result:
        return Result(id=request.id) if request.id == "seed-3" else good_answer(request)

    first, _ = captions_of(tmp_path, refuses_one)
    before = files_of(tmp_path)
    again, generator = captions_of(tmp_path, refuses_one)
    assert generator.requests == []
    assert (again.written, again.rejected) == (first.written, first.rejected) == (49, {"empty": 1})
    assert files_of(tmp_path) == before


def test_a_run_that_broke_off_goes_on_with_what_was_answered(tmp_path: Path) -> None:
    answered: list[str] = []

    def breaks(request: Request) -> Result:
        if len(answered) == 33:
            raise UserError("the server is gone")
        answered.append(request.id)
        return good_answer(request)

    with pytest.raises(UserError, match="the server is gone"):
        captions_of(tmp_path, breaks)
    report, generator = captions_of(tmp_path)
    assert report.written == 50
    assert sorted(answered + [request.id for request in generator.requests]) == sorted(
        seed.id for seed in ListedSeeds(50)
    )


def test_attempts_are_counted_over_runs(tmp_path: Path) -> None:
    seeds: list[int] = []

    def never_good(request: Request) -> Result:
        if request.id != "seed-1":
            return good_answer(request)
        seeds.append(request.seed)
        if len(seeds) == 3:
            raise UserError("the server is gone")
        return Result(id=request.id, text="Too short.")

    with pytest.raises(UserError, match="the server is gone"):
        captions_of(tmp_path, never_good)
    report, _ = captions_of(tmp_path, never_good)
    assert report.rejected == {"too short": 1}
    assert len(set(seeds[:3])) == 3
    assert seeds[3:] == [seeds[2]]  # the attempt that broke off, and no other


def test_a_generator_of_which_nothing_can_be_used_ends_in_one_line(tmp_path: Path) -> None:
    for _ in range(2):  # run again, it says the same
        with pytest.raises(UserError, match=r"no answer of scripted .* 60 times: empty"):
            captions_of(tmp_path, lambda request: Result(id=request.id))


def test_an_outage_is_not_written_down_as_rejects(tmp_path: Path) -> None:
    def dies(request: Request) -> Result:
        if int(request.id.removeprefix("seed-")) < BLOCK:
            return good_answer(request)
        return Result(id=request.id, error="connection refused")

    with pytest.raises(UserError, match=r"has left \d+ requests .* without an answer, .* connection refused"):
        captions_of(tmp_path, dies)
    report, generator = captions_of(tmp_path)
    assert (report.written, len(generator.requests)) == (50, 50 - BLOCK)
    assert not report.rejected


def test_a_request_that_is_turned_down_is_asked_once_and_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    def refuses_the_last(request: Request) -> Result:
        if request.id == "seed-40":
            return Result(id=request.id, error="400: too long", refused=True)
        return good_answer(request)

    report, generator = captions_of(tmp_path, refuses_the_last, count=41)  # alone in the last block
    (reject,) = read_rejects(tmp_path, "captions")
    assert (reject.id, reject.reason, reject.attempts, reject.answer) == (
        *("seed-40", "request turned down", 1),
        "400: too long",
    )
    assert (report.written, len(generator.requests)) == (40, 41)


def test_a_request_without_an_answer_is_sent_again_as_it_was(tmp_path: Path) -> None:
    seeds: list[int] = []

    def answers_at_last(request: Request) -> Result:
        if request.id != "seed-1":
            return good_answer(request)
        seeds.append(request.seed)
        return Result(id=request.id, error="timed out") if len(seeds) < 3 else good_answer(request)

    report, _ = captions_of(tmp_path, answers_at_last)
    assert report.written == 50
    assert len(seeds) == 3
    assert len(set(seeds)) == 1


def test_one_straggler_does_not_keep_all_blocks_from_being_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Straggling(ScriptedGenerator):
        """The first answer comes last."""

        def generate(self, requests: Iterable[Request]) -> Iterator[Result]:
            pulled = list(requests)
            self.requests += pulled
            yield from map(good_answer, pulled[1:] + pulled[:1])

    monkeypatch.setattr(request_loop, "OPEN_ITEMS", 2 * BLOCK)
    with DatasetWriter(tmp_path, block_size=BLOCK) as writer:
        generator = Straggling(good_answer)
        report = write_captions(writer, ListedSeeds(200), generator, SETTINGS, 0)
    assert report.written == len(generator.requests) == 200


def test_another_seed_list_prompt_or_setting_is_refused(tmp_path: Path) -> None:
    captions_of(tmp_path)
    with pytest.raises(UserError, match="seeds"):
        captions_of(tmp_path, count=70)
    with pytest.raises(UserError, match="words"):
        captions_of(tmp_path, settings=replace(SETTINGS, words_max=41))


def test_instructions_take_turns_and_come_in_the_order_of_captions(tmp_path: Path) -> None:
    captions_of(tmp_path)
    report, generator = instructions_of(tmp_path)
    instructions = read_instructions(tmp_path)
    captions = [caption.id for caption in read_captions(tmp_path)]
    assert [instruction.caption_id for instruction in instructions] == captions
    assert report.written == 50
    assert len({instruction.id for instruction in instructions}) == 50
    for instruction in instructions:
        assert [message.role for message in instruction.messages] == [Role.USER, Role.ASSISTANT] * 2
    by_task = {instruction.task: instruction for instruction in instructions}
    assert by_task.keys() == set(Task)
    question, answer, *_ = by_task[Task.MULTIPLE_CHOICE].messages
    lines = question.content.splitlines()
    assert lines[0] == "What shape is the table?"
    assert f"{answer.content}. round" in lines
    assert sorted(line[3:] for line in lines[1:]) == ["long", "oval", "round", "square"]
    assert [line[:3] for line in lines[1:]] == ["A. ", "B. ", "C. ", "D. "]
    assert by_task[Task.QUESTION_ANSWERING].messages[1].content == "round"
    assert all(request.schema for request in generator.requests)


def test_the_second_stage_is_told_captions_and_ids_and_nothing_else(tmp_path: Path) -> None:
    captions_of(tmp_path)
    _, generator = instructions_of(tmp_path)
    asked = {json.loads(request.messages[-1].content)["id"]: request for request in generator.requests}
    for caption in read_captions(tmp_path):
        system, user = asked[caption.id].messages
        assert json.loads(user.content) == {"id": caption.id, "caption": caption.text}
        assert caption.id not in system.content


def test_letters_are_balanced_though_the_generator_always_says_a(tmp_path: Path) -> None:
    settings = replace(SETTINGS, shares=TaskShares(question_answering=0, complex_reasoning=0))
    captions_of(tmp_path, count=200, settings=settings)
    instructions_of(tmp_path, settings=settings)
    letters = Counter(
        message.content
        for instruction in read_instructions(tmp_path)
        for message in instruction.messages
        if message.role is Role.ASSISTANT
    )
    expected = 2 * 200 / 4
    assert letters.keys() == set("ABCD")
    assert sum((count - expected) ** 2 / expected for count in letters.values()) < 16.3  # chi square, p = 0.001


def test_a_part_of_the_captions_can_be_instructed(tmp_path: Path) -> None:
    settings = replace(SETTINGS, instructed=0.4)
    captions_of(tmp_path, count=200, settings=settings)
    report, _ = instructions_of(tmp_path, settings=settings)
    assert report.written == pytest.approx(80, abs=25)


def test_instructions_need_finished_captions(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="captions"):
        instructions_of(tmp_path)


def test_the_dataset_is_the_same_whatever_order_answers_come_in(tmp_path: Path) -> None:
    def faulty(request: Request) -> Result:
        return Result(id=request.id) if request.seed % 3 == 0 else good_answer(request)

    contents: list[dict[str, bytes]] = []
    for name in ("first", "second"):
        folder = tmp_path / name
        captions_of(folder, faulty)
        instructions_of(folder, faulty)
        contents.append(files_of(folder))
    assert contents[0] == contents[1]
    assert any(name.startswith("rejects") for name in contents[0])


def test_the_closing_table_counts_what_was_turned_away(tmp_path: Path) -> None:
    def faulty(request: Request) -> Result:
        return Result(id=request.id) if request.id == "seed-3" else good_answer(request)

    report, _ = captions_of(tmp_path, faulty)
    columns = [[*column.cells] for column in report_table([report]).columns]
    assert columns[:4] == [["captions", "  empty"], ["49", ""], ["1", "1"], ["3", "3"]]
