"""JSON in the LLaVA form: into a dataset, out of one, and there and back again."""

import json
import shutil
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.dataset import example
from unicorn.dataset import DatasetWriter, Part, spill
from unicorn.dataset import import_llava as importing
from unicorn.dataset.export_llava import export_llava
from unicorn.dataset.import_llava import Imported, import_llava
from unicorn.dataset.json_records import read_records
from unicorn.dataset.llava import guess_task
from unicorn.dataset.texts import Texts
from unicorn.errors import UserError
from unicorn.files import make_folder
from unicorn.records import Caption, Instruction, Message, Role, Task
from unicorn.report.metrics import read_metrics
from unicorn.synthesis.report import write_report

CHOICE = "Which color is the cat?\nA. red\nB. black\nC. grey\nD. white"


def turns(*texts: str) -> list[dict[str, str]]:
    """Human and gpt in turn, the image before the first question."""
    said = [f"<image>\n{texts[0]}", *texts[1:]]
    return [{"from": ("human", "gpt")[number % 2], "value": text} for number, text in enumerate(said)]


def published(number: int) -> dict[str, Any]:
    """A record in the form of the published captions."""
    caption = f"A black cat, number {number}, sits on a mat."
    return {"id": f"{number:010}", "caption": caption, "conversations": turns("What is this?", caption)}


def instructed(number: int, *texts: str) -> dict[str, Any]:
    """A record in the form of the published instructions."""
    return published(number) | {"conversations": turns(*texts)}


def save(path: Path, records: Sequence[Any], indent: int | None = None) -> Path:
    path.write_text(json.dumps(records, indent=indent))
    return path


def read(folder: Path) -> tuple[list[Caption], list[Instruction]]:
    texts = Texts.open(folder)
    captions = [each for block in texts.blocks() for each in texts.captions(block)]
    return captions, [each for block in texts.blocks() for each in texts.instructions(block)]


def rejects(folder: Path, part: str) -> list[tuple[str, str]]:
    lines = [line for path in sorted((folder / "rejects").glob(f"{part}-*")) for line in path.read_text().splitlines()]
    return [(reject["id"], reject["reason"]) for reject in map(json.loads, lines)]


def test_the_two_published_files_become_a_dataset_that_ids_join(tmp_path: Path) -> None:
    captions = save(tmp_path / "captions.json", [published(number) for number in range(10)], indent=1)
    asked = [
        instructed(7, CHOICE, "B"),
        instructed(5, "What?", "A cat."),
        instructed(2, "Where is it?", "On a mat.", "Why?", "It is warm."),
    ]
    instructions = save(tmp_path / "instructions.json", asked)
    made = import_llava([captions, instructions], tmp_path / "made", block_size=4)
    assert made == Imported(captions=10, instructions=3, rejected={Part.CAPTIONS: {}, Part.INSTRUCTIONS: {}})
    found, asked = read(tmp_path / "made")
    assert [caption.id for caption in found] == [f"{number:010}" for number in range(10)]
    assert found[7].text == "A black cat, number 7, sits on a mat."
    assert [(each.id, each.caption_id, each.task) for each in asked] == [
        ("0000000002/question_answering", "0000000002", Task.QUESTION_ANSWERING),
        ("0000000005/question_answering", "0000000005", Task.QUESTION_ANSWERING),
        ("0000000007/multiple_choice", "0000000007", Task.MULTIPLE_CHOICE),
    ]
    assert asked[0].messages[0] == Message(role=Role.USER, content="Where is it?")
    assert "<image>" not in str(asked)
    assert not (tmp_path / "made" / "importing").exists()


def test_one_file_brings_both_and_whole_numbers_are_ids(tmp_path: Path) -> None:
    record = {"id": 17, "image": "17.jpg", "caption": "A cat.", "conversations": turns("What is it?", "A cat, asleep.")}
    made = import_llava([save(tmp_path / "all.json", [record])], tmp_path / "made", domain="pets")
    assert (made.captions, made.instructions) == (1, 1)
    (caption,), (instruction,) = read(tmp_path / "made")
    assert (caption.id, caption.domain, instruction.caption_id) == ("17", "pets", "17")


def test_captions_alone_make_no_instructions_so_that_an_llm_may_write_them(tmp_path: Path) -> None:
    import_llava([save(tmp_path / "captions.json", [published(1)])], tmp_path / "made")
    assert Texts.open(tmp_path / "made").count(Part.INSTRUCTIONS) is None


BAD = {
    "not a JSON object": "a text",
    "no id": {"caption": "A cat."},
    "no caption, and none under its id before": {"id": "nobody", "conversations": turns("What?", "That.")},
    "another caption under the same id": published(0) | {"caption": "A dog."},
    "repeats an earlier record": published(0),
}
BAD_TURNS = {
    "conversations are no list of from and value": [{"role": "user", "content": "What?"}],
    "human and gpt do not take turns": turns("What?", "That.", "And?"),
    "an empty turn": turns("What?", " "),
}


def test_what_cannot_be_read_is_told_by_file_and_place(tmp_path: Path) -> None:
    good = [published(number) for number in range(6)]
    records = [*good, *BAD.values(), *(published(9) | {"conversations": said} for said in BAD_TURNS.values())]
    file = save(tmp_path / "mixed.json", [*records, instructed(5, "What?", "That.")])
    made = import_llava([file], tmp_path / "made", block_size=3)
    assert rejects(tmp_path / "made", "captions") == [
        (f"mixed.json, record {number}", reason) for number, reason in enumerate(BAD, start=7)
    ]
    assert rejects(tmp_path / "made", "instructions") == [
        (f"mixed.json, record {number}", reason) for number, reason in enumerate(BAD_TURNS, start=12)
    ]
    assert made.rejected[Part.CAPTIONS] == dict.fromkeys(BAD, 1)
    assert made.rejected[Part.INSTRUCTIONS] == dict.fromkeys(BAD_TURNS, 1)
    assert (made.captions, made.instructions) == (7, 1)


def test_of_one_record_a_line_a_bad_line_is_told_by_its_number(tmp_path: Path) -> None:
    lines = [json.dumps(published(1)), "", '{"id": "2", "capt', json.dumps(published(3))]
    (tmp_path / "lines.jsonl").write_text("\ufeff" + "\n".join(lines))
    made = import_llava([tmp_path / "lines.jsonl"], tmp_path / "made")
    assert made.captions == 2
    assert rejects(tmp_path / "made", "captions") == [("lines.jsonl, line 3", "not a JSON object")]


def test_several_conversations_of_a_caption_keep_apart(tmp_path: Path) -> None:
    asked = [instructed(1, "What?", f"That, {number}.") for number in range(3)]
    import_llava([save(tmp_path / "all.json", asked)], tmp_path / "made")
    names = [each.id.removeprefix("0000000001/question_answering") for each in read(tmp_path / "made")[1]]
    assert names == ["", "/2", "/3"]


LONG = " ".join(["since"] * 25)


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (Task.MULTIPLE_CHOICE, (CHOICE, "B")),
        (Task.MULTIPLE_CHOICE, (CHOICE, "B. black", CHOICE, "(C)")),
        (Task.MULTIPLE_CHOICE, ("Which one? (A) red (B) blue", "A")),
        (Task.QUESTION_ANSWERING, (CHOICE, "black")),
        (Task.QUESTION_ANSWERING, (CHOICE, "B", "And why?", "It is night.")),
        (Task.QUESTION_ANSWERING, (CHOICE, "Black as night")),
        (Task.QUESTION_ANSWERING, ("Is grade A. better?", "A")),
        (Task.COMPLEX_REASONING, ("Why?", LONG)),
        (Task.QUESTION_ANSWERING, ("Why?", LONG, "What?", "That.")),
    ],
)
def test_a_task_that_no_one_names_is_guessed(task: Task, said: tuple[str, ...]) -> None:
    roles = [Role.USER, Role.ASSISTANT] * len(said)
    assert guess_task([Message(role=role, content=text) for role, text in zip(roles, said, strict=False)]) is task


def test_a_task_that_is_named_is_not_guessed(tmp_path: Path) -> None:
    named = instructed(1, CHOICE, "B") | {"task": "complex_reasoning"}
    for task in (None, Task.QUESTION_ANSWERING):
        import_llava([save(tmp_path / "all.json", [named])], tmp_path / f"{task}", task=task)
        assert read(tmp_path / f"{task}")[1][0].task is (task or Task.COMPLEX_REASONING)


@pytest.mark.parametrize("written", ["", "[]", "[1, 2]", json.dumps({"data": [published(1)]}, indent=1)])
def test_a_file_of_something_else_is_one_line(tmp_path: Path, written: str) -> None:
    (tmp_path / "other.json").write_text(written)
    with pytest.raises(
        UserError, match=r"nothing in .*other\.json can be imported: .* should be JSON in the LLaVA form"
    ):
        import_llava([tmp_path / "other.json"], tmp_path / "made")
    assert not (tmp_path / "made" / "importing").exists()


def test_a_file_without_any_use_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "HOPELESS", 3)
    file = save(tmp_path / "vqa.json", [{"id": number, "image": "a.jpg"} for number in range(9)])
    with pytest.raises(
        UserError, match="its first 3 records are all rejected, the last for: no caption, and none under"
    ):
        import_llava([file], tmp_path / "made")


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no file at .*none\.json to be imported\. Name JSON files in the LLaVA form"):
        import_llava([tmp_path / "none.json"], tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_a_download_cut_short_is_named_and_goes_on_once_it_is_whole(tmp_path: Path) -> None:
    records = [instructed(number, "What?", f"That, {number}.") for number in range(10)]
    whole = json.dumps(records).encode()
    import_llava([save(tmp_path / "all.json", records)], tmp_path / "undisturbed", block_size=3)
    (tmp_path / "all.json").write_bytes(whole[:-300])
    with pytest.raises(UserError, match=r"all\.json is not JSON after record 8: .*\. Mend the file there, or fetch it"):
        import_llava([tmp_path / "all.json"], tmp_path / "made", block_size=3)
    (tmp_path / "all.json").write_bytes(whole)
    with pytest.raises(UserError, match="were made otherwise"):  # it is another file, of which the beginning is there
        import_llava([tmp_path / "all.json"], tmp_path / "made", block_size=3)


@pytest.mark.parametrize("stopped", range(1, 15))
def test_stopped_anywhere_it_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: int
) -> None:
    records = [published(number) for number in range(8)] + [instructed(number, "What?", "That.") for number in (7, 0)]
    bad = ["bad", published(3) | {"conversations": ["bad"]}, published(0), {"id": "nobody"}]
    file = save(tmp_path / "all.json", [*records, *bad])
    import_llava([file], tmp_path / "whole", block_size=3)
    with monkeypatch.context() as patch:
        patch.setattr(spill, "_HELD_BYTES", 0)  # all go to their files at once
        seen = 0

        def stopping(path: Path) -> Any:
            nonlocal seen
            for each in read_records(path):
                seen += 1
                if seen == stopped:
                    raise KeyboardInterrupt
                yield each

        patch.setattr(importing, "read_records", stopping)
        with pytest.raises(KeyboardInterrupt):
            import_llava([file], tmp_path / "made", block_size=3)
    make_folder(tmp_path / "made" / "importing")  # as a kill leaves it
    (tmp_path / "made" / "importing" / "00000.jsonl").write_text("half a line")
    for _ in range(2):
        import_llava([file], tmp_path / "made", block_size=3)
    assert example.contents(tmp_path / "made") == example.contents(tmp_path / "whole")


def test_memory_holds_a_block_and_not_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "_HELD_BYTES", 1 << 14)
    peaks: list[int] = []
    for count in (50, 200, 800):  # with the first, all is loaded that will be
        records = [instructed(number, "What?", f"That, {number}. " * 80) for number in range(count)]
        file = save(tmp_path / f"{count}.json", records)
        del records
        tracemalloc.start()
        import_llava([file], tmp_path / f"{count}", block_size=50)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < peaks[1] + 600 * 300  # of 600 more records of 1,400 letters, their ids


def test_memory_does_not_grow_with_what_is_turned_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "_HELD_BYTES", 1 << 14)
    peaks: list[int] = []
    for count in (50, 200, 800):
        more = [{"id": "nobody", "note": "x" * 1000}, published(0) | {"conversations": ["x" * 1000]}]
        file = save(tmp_path / f"{count}.json", [published(0), *(more * count)])
        tracemalloc.start()
        made = import_llava([file], tmp_path / f"{count}", block_size=50)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert [sum(reasons.values()) for reasons in made.rejected.values()] == [count, count]
        assert len(rejects(tmp_path / f"{count}", "captions")) == count
    assert peaks[2] < peaks[1] + 20_000  # of 1,200 more of 1,000 letters


def test_what_was_turned_away_is_in_the_report_and_goes_with_its_part(tmp_path: Path) -> None:
    bad = ["bad", "bad", published(1) | {"conversations": ["bad"]}]
    made = tmp_path / "made"
    import_llava([save(tmp_path / "all.json", [published(0), *bad])], made)
    write_report(made)
    metrics = read_metrics(made / "report")
    assert {key: number for key, number in metrics.items() if key.startswith("rejected")} == {
        "rejected": 3,
        "rejected/captions/not_a_JSON_object": 2,
        "rejected/instructions/conversations_are_no_list_of_from_and_value": 1,
    }
    shutil.rmtree(made / "captions")
    shutil.rmtree(made / "instructions")
    import_llava([save(tmp_path / "other.json", [published(0)])], made)
    assert not rejects(made, "captions")


TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).filter(
    lambda text: text == text.strip() != "" and "<image>" not in text
)


@st.composite
def datasets(draw: st.DrawFn) -> tuple[list[Caption], list[Instruction]]:
    """Captions, of which some have instructions, in the order of the captions, and named as ours are."""
    captions = [
        Caption(id=name, text=draw(TEXT), domain=draw(TEXT), generator=draw(TEXT | st.just("")), prompt_version="v1")
        for name in draw(st.lists(TEXT, min_size=1, max_size=7, unique=True))
    ]
    instructions: list[Instruction] = []
    for caption in captions:
        for task in draw(st.lists(st.sampled_from(Task), max_size=2, unique=True)):
            said = draw(st.lists(TEXT, min_size=1, max_size=2)) * 2
            roles = [Role.USER, Role.ASSISTANT] * len(said)
            if said[1:] != [caption.text]:
                messages = tuple(Message(role=role, content=text) for role, text in zip(roles, said, strict=False))
                name = f"{caption.id}/{task}"
                instructions.append(Instruction(id=name, caption_id=caption.id, task=task, messages=messages))
    return captions, instructions


def write(folder: Path, captions: list[Caption], instructions: list[Instruction]) -> None:
    blocks = [captions[start : start + 3] for start in range(0, len(captions), 3)]
    with DatasetWriter(folder, 3) as writer:
        part = writer.captions({})
        for number, block in enumerate(blocks):
            part.write(number, block)
        part.complete(len(blocks))
        asked = writer.instructions({})
        for number, block in enumerate(blocks):
            names = {caption.id for caption in block}
            asked.write(number, [each for each in instructions if each.caption_id in names])
        asked.complete(len(blocks))


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(datasets())
def test_what_is_written_comes_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, texts: tuple[list[Caption], list[Instruction]]
) -> None:
    folder = tmp_path_factory.mktemp("trip")
    write(folder / "ours", *texts)
    files = export_llava(folder / "ours", folder / "json")
    import_llava(list(files.values()), folder / "back", block_size=3)
    assert read(folder / "back") == texts


def test_an_export_is_what_llava_reads(finished: Path, tmp_path: Path) -> None:
    files = export_llava(finished, tmp_path / "json")
    assert [path.name for path in files.values()] == ["captions.json", "instructions.json"]
    captions, instructions = (json.loads(path.read_text()) for path in files.values())
    first = example.all_captions()[0]
    assert (len(captions), len(instructions)) == (90, 90)
    assert captions[0]["conversations"] == [
        {"from": "human", "value": "<image>\nDescribe the image in detail."},
        {"from": "gpt", "value": first.text},
    ]
    assert instructions[0] == {
        "id": first.id,
        "caption": first.text,
        "task": "question_answering",
        "conversations": [{"from": "human", "value": "<image>\nHow many?"}, {"from": "gpt", "value": first.id[-4:]}],
    }
    assert len(files[Part.CAPTIONS].read_text().splitlines()) == 92  # one record a line


def test_an_export_is_whole_or_not_there(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no dataset at"):
        export_llava(tmp_path / "nothing", tmp_path / "json")
    Part.INSTRUCTIONS.shard(folder, 2).unlink()
    with pytest.raises(UserError, match=r"instructions-00002\.parquet is missing"):
        export_llava(folder, tmp_path / "json")
    assert not (tmp_path / "json").exists()
