"""Seeds from JSON Lines files: ids that stay, and errors that name the line."""

import json
import logging
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unicorn.errors import UserError
from unicorn.records import Seed
from unicorn.seeds.files import FileSeeds, FilesSettings


def write(path: Path, lines: Sequence[Mapping[str, object]]) -> FileSeeds:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return FilesSettings(path=str(path)).build()


def test_id_and_domain_are_taken_from_the_line(tmp_path: Path) -> None:
    seeds = write(
        tmp_path / "mine.jsonl",
        [{"text": " a cat on a mat ", "id": "7", "domain": "pets"}, {"text": "a red bus"}],
    )
    first, second = seeds
    assert first == Seed(id="7", text="a cat on a mat", source="mine.jsonl", domain="pets")
    assert (second.text, second.domain) == ("a red bus", "open")
    assert len(seeds) == 2


@given(st.lists(st.text(st.characters(codec="utf-8")).filter(str.strip), min_size=1, unique_by=str.strip))
def test_ids_do_not_depend_on_the_order_of_lines(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("seeds")
    shuffled = random.Random(0).sample(texts, len(texts))
    ids, again = (
        {seed.text: seed.id for seed in write(folder / "seeds.jsonl", [{"text": text} for text in order])}
        for order in (texts, shuffled)
    )
    assert ids == again
    assert len(set(ids.values())) == len(texts)


def test_a_line_that_comes_again_is_one_seed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    line = {"text": "a cat"}
    with caplog.at_level(logging.WARNING):
        seeds = write(tmp_path / "seeds.jsonl", [line, {"text": "a dog"}, line, line])
    assert [seed.text for seed in seeds] == ["a cat", "a dog"]
    assert len(seeds) == 2
    assert "2 lines repeat" in caplog.text


def test_the_same_text_in_two_domains_is_two_seeds(tmp_path: Path) -> None:
    lines = [{"text": "a crane"}, {"text": "a crane", "domain": "birds"}]
    seeds = write(tmp_path / "seeds.jsonl", lines)
    assert len({seed.id for seed in seeds}) == 2


def test_the_name_tells_files_apart_by_content_and_not_by_place(tmp_path: Path) -> None:
    names = [write(tmp_path / f"{text}.jsonl", [{"text": text}]).name for text in ("a", "b")]
    (tmp_path / "elsewhere").mkdir()
    same = write(tmp_path / "elsewhere" / "a.jsonl", [{"text": "a"}]).name
    assert len({*names}) == 2
    assert same == names[0]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{not json", "not JSON ("),
        (b'{"text": "\xff"}', "not JSON ("),
        (b'["a cat"]', "not an object with a 'text'"),
        (b'{"caption": "a cat"}', "not an object with a 'text'"),
        (b'{"text": "  "}', "'text' is not a text, or is empty"),
        (b'{"text": 7}', "'text' is not a text, or is empty"),
        (b'{"text": "a cat", "domain": null}', "'domain' is not a text, or is empty"),
        (b'{"text": "a cat", "id": "1"}', "the id '1' comes a second time"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "seeds.jsonl"
    path.write_bytes(b'{"text": "a dog", "id": "1"}\n\n' + line + b"\n")
    with pytest.raises(UserError) as caught:
        FilesSettings(path=str(path)).build()
    assert "line 3" in str(caught.value)
    assert reason in str(caught.value)
    assert str(path) in str(caught.value)
    assert "Mend the line or remove it" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no such file. Set seeds.path to a JSON Lines file"),
        (b"", "it is empty. Each line is an object"),
        (b"\n\n", "it is empty. Each line is an object"),
    ],
)
def test_no_file_and_an_empty_file_are_named(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "seeds.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=re.escape(f"{path}: {reason}")):
        FilesSettings(path=str(path)).build()
