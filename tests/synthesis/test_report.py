"""The report of a dataset: its numbers against numbers reckoned otherwise, its page, its card."""

import json
import math
import re
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from tests.dataset import example
from unicorn.dataset import DatasetWriter
from unicorn.dataset.shards import CAPTION_SCHEMA
from unicorn.errors import UserError
from unicorn.records import Caption, Instruction, Message, Reject, Role, Task
from unicorn.synthesis import measures
from unicorn.synthesis.measures import CaptionMeasures
from unicorn.synthesis.report import write_report
from unicorn.synthesis.usage import Usage

WORDS = [
    "a",
    "red",
    "cat",
    "sits",
    "on",
    "the",
    "green",
    "mat",
    "under",
    "some",
    "tall",
    "lamp",
    "while",
    "two",
    "small",
    "dogs",
    "watch",
    "it",
    "from",
    "a",
    "chair",
]
TEXTS = [" ".join([*WORDS, f"number{number}", f"in room{number}"]) for number in range(40)]
CHOICES = [("Which color?\nA. red\nB. blue\nC. grey\nD. pink", letter) for letter in "ABBCDDDD"]


def caption(number: int, text: str) -> Caption:
    return Caption(
        id=f"c{number}", text=text, domain="pets" if number % 4 else "open", generator="m", prompt_version="v"
    )


def instruction(number: int, task: Task, *said: str) -> Instruction:
    roles = [Role.USER, Role.ASSISTANT] * len(said)
    messages = tuple(Message(role=role, content=text) for role, text in zip(roles, said, strict=False))
    return Instruction(id=f"c{number}/{task}", caption_id=f"c{number}", task=task, messages=messages)


INSTRUCTIONS = [
    *(instruction(number, Task.MULTIPLE_CHOICE, *choice) for number, choice in enumerate(CHOICES)),
    instruction(8, Task.QUESTION_ANSWERING, "What is it?", "A cat.", "Is it red?", "Yes.", "Name it.", "Tom."),
    instruction(9, Task.COMPLEX_REASONING, "Why does it sit?", "It is tired, and the mat is soft."),
]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """40 captions that are near duplicates, two copies, one other; 10 instructions; three rejects."""
    texts = [*TEXTS, TEXTS[0], TEXTS[0], "Quite another picture of nothing but sea and sky"]
    refused = [Reject(id=f"r{n}", stage="captions", reason="too short", attempts=3, answer="Cat.") for n in range(3)]
    with DatasetWriter(tmp_path / "made", 100) as writer:
        part = writer.captions({"generator": "grammar|1", "sampling": {"temperature": 0.7}})
        part.write(0, [caption(number, text) for number, text in enumerate(texts)], refused)
        part.complete(1)
        asked = writer.instructions({"generator": "grammar|1"})
        asked.write(0, INSTRUCTIONS)
        asked.complete(1)
    return tmp_path / "made"


def numbers(dataset: Path) -> dict[str, float]:
    return json.loads((dataset / "report" / "metrics.json").read_text())


def test_captions_are_counted_and_measured(dataset: Path) -> None:
    write_report(dataset)
    found = numbers(dataset)
    assert found["captions"] == found["captions/sampled"] == 43
    assert (found["captions/words/min"], found["captions/words/max"]) == (9, len(WORDS) + 3)
    assert found["captions/words/mean"] == pytest.approx((42 * (len(WORDS) + 3) + 9) / 43)
    assert found["captions/exact_duplicates"] == 2
    assert found["captions/near_duplicates"] == pytest.approx(39, abs=3)  # MinHash estimates
    assert (found["captions/domain/pets"], found["captions/domain/open"]) == (32, 11)


def test_richness_is_that_of_each_caption_on_average(dataset: Path) -> None:
    write_report(dataset)
    ratios, entropies = [], []
    for text in [*TEXTS, TEXTS[0], TEXTS[0], "Quite another picture of nothing but sea and sky"]:
        words = text.lower().split()
        ratios.append(len(set(words)) / len(words))
        shares = [count / len(words) for count in Counter(words).values()]
        entropies.append(-sum(share * math.log2(share) for share in shares))
    found = numbers(dataset)
    assert found["captions/type_token_ratio"] == pytest.approx(sum(ratios) / 43)
    assert found["captions/token_entropy"] == pytest.approx(sum(entropies) / 43)


def test_instructions_are_told_by_task_question_word_and_letter(dataset: Path) -> None:
    write_report(dataset)
    found = numbers(dataset)
    assert found["instructions"] == 10
    assert found["instructions/questions"] == 12
    assert [found[f"instructions/task/{task}"] for task in Task] == [8, 1, 1]
    asked = {key.removeprefix("instructions/asks/"): count for key, count in found.items() if "/asks/" in key}
    assert asked == {"which": 8, "what": 1, "why": 1, "yes or no": 1, "other": 1}
    assert [found[f"instructions/letter/{letter}"] for letter in "ABCD"] == [1, 2, 1, 4]
    assert found["instructions/questions/max"] == 3
    assert found["instructions/answer_words/mean"] == pytest.approx((8 + 2 + 1 + 1 + 8) / 12)


def test_what_was_given_up_and_what_it_took_is_told(dataset: Path) -> None:
    taken = Usage(stage="captions", answers=46, prompt_tokens=900, completion_tokens=7000, cost=1.25, seconds=9.5)
    page = write_report(dataset, [taken]).read_text()
    found = numbers(dataset)
    assert (found["rejected"], found["rejected/captions/too_short"]) == (3, 3)
    assert found["usage/captions/cost"] == 1.25
    assert found["usage/captions/completion_tokens"] == 7000
    for said in ("too short", "7,000", "$1.25", "seconds are those of the last run that asked"):
        assert said in page


def test_the_page_is_one_file_with_figures_and_samples(dataset: Path) -> None:
    page = write_report(dataset).read_text()
    assert not re.search(r"""(src|href)=["']?https?:""", page)
    assert page.count("<img") == 4  # words, tasks, questions, letters
    assert sorted(path.name for path in (dataset / "report" / "figures").iterdir()) == [
        "letters.png",
        "questions.png",
        "tasks.png",
        "words.png",
    ]
    for said in ("1,243,195", "in the paper", "→ Yes.", "grammar|1", "temperature"):
        assert said in page
    assert page.count("a red cat sits") > 3


def test_the_same_dataset_makes_the_same_bytes(dataset: Path) -> None:
    write_report(dataset)
    before = example.contents(dataset)
    write_report(dataset)
    assert example.contents(dataset) == before


def test_what_earlier_runs_took_stays_where_nothing_more_is_asked(dataset: Path) -> None:
    def taken(stage: str, answers: int, seconds: float) -> Usage:
        return Usage(
            stage=stage, answers=answers, prompt_tokens=9, completion_tokens=70, cost=answers / 8, seconds=seconds
        )

    write_report(dataset, [taken("captions", 46, 9.5), taken("instructions", 10, 3.5)])
    before = example.contents(dataset)
    write_report(dataset, [taken("captions", 46, 0.1)])
    assert example.contents(dataset) == before
    write_report(dataset, [taken("instructions", 12, 1.5)])
    found = numbers(dataset)
    assert [found[f"usage/captions/{key}"] for key in ("answers", "cost", "seconds")] == [46, 5.75, 9.5]
    assert [found[f"usage/instructions/{key}"] for key in ("answers", "cost", "seconds")] == [12, 1.5, 1.5]


def test_captions_without_instructions_have_a_report(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path, 100) as writer:
        part = writer.captions({})
        part.write(0, [caption(0, TEXTS[0])])
        with pytest.raises(UserError, match=r"the captions of .* are unfinished"):
            write_report(tmp_path)
        part.complete(1)
    page = write_report(tmp_path).read_text()
    assert "<h2>Captions</h2>" in page
    assert "<h2>Instructions</h2>" not in page
    assert numbers(tmp_path)["instructions"] == 0


def test_no_captions_at_all_have_a_report(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path, 100) as writer:
        part = writer.captions({})
        part.write(0, [])
        part.complete(1)
    write_report(tmp_path)
    assert numbers(tmp_path)["captions"] == 0


def test_a_damaged_file_is_named(dataset: Path) -> None:
    shard = dataset / "captions" / "captions-00000.parquet"
    content = bytearray(shard.read_bytes())
    content[len(content) // 3] ^= 1
    shard.write_bytes(content)
    with pytest.raises(UserError, match=r"captions-00000\.parquet is corrupt"):
        write_report(dataset)


def test_the_card_says_what_is_in_it_and_what_made_it(dataset: Path) -> None:
    assert "| task | instructions |" not in (dataset / "README.md").read_text()
    write_report(dataset)
    card = (dataset / "README.md").read_text()
    for said in (
        "| captions | 43 |",
        f"The captions have 9 to {len(WORDS) + 3} words, ",
        "| multiple_choice | 8 |",
        "| captions.generator | grammar\\|1 |",
        "| captions.sampling.temperature | 0.7 |",
        f"> {TEXTS[0]}",
        "## An instruction: multiple choice",
        "| user | Which color?<br>A. red<br>",
    ):
        assert said in card


def test_a_sample_stands_for_many_and_does_not_depend_on_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "SAMPLE", 500)
    rows = [{"id": f"c{n}", "text": " ".join(WORDS[: 5 + n % 9]), "domain": "open"} for n in range(2000)]
    found: list[dict[str, float]] = []
    shown: list[list[str]] = []
    for order in (rows, rows[::-1]):
        counted = CaptionMeasures(len(rows))
        for start in range(0, len(order), 300):
            schema = pa.schema([CAPTION_SCHEMA.field(name) for name in ("id", "text", "domain")])
            counted.add(pa.RecordBatch.from_pylist(order[start : start + 300], schema=schema))
        found.append(counted.metrics())
        shown.append([row["id"] for row in counted.shown.rows])
    assert shown[0] == shown[1]
    for key in ("sampled", "type_token_ratio", "token_entropy", "words/mean", "exact_duplicates"):
        assert found[0][f"captions/{key}"] == pytest.approx(found[1][f"captions/{key}"])
    assert found[0]["captions/sampled"] == pytest.approx(500, rel=0.15)
    assert found[0]["captions/exact_duplicates"] == 2000 - 9  # over all, sampled or not
