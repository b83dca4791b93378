"""Seeds from files: every format says the same, ids stay, and errors name file and row."""

import csv
import json
import logging
import random
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unicorn.errors import UserError
from unicorn.records import Seed
from unicorn.seeds.columns import Columns
from unicorn.seeds.corpus import Corpus
from unicorn.seeds.files import FilesSettings
from unicorn.seeds.formats import Format

ROWS = [
    {"id": "7", "text": "a cat on a mat", "domain": "pets"},
    {"id": "8", "text": 'a "red", round bus', "domain": "open"},
    {"id": "9", "text": "ein Café in Zürich", "domain": "places"},
]


def write(path: Path, lines: Sequence[Mapping[str, object]]) -> Corpus:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return FilesSettings(path=str(path)).build()


def as_csv(path: Path) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:  # as Excel saves it
        writer = csv.DictWriter(file, ["domain", "text", "id"])
        writer.writeheader()
        writer.writerows(ROWS)


def as_tsv(path: Path) -> None:
    lines = ["\t".join(row) for row in (ROWS[0], *(row.values() for row in ROWS))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


WRITERS: dict[str, Callable[[Path], object]] = {
    "s.jsonl": lambda path: path.write_text("".join(json.dumps(row) + "\n\n" for row in ROWS)),
    "s.json": lambda path: path.write_text(json.dumps(ROWS)),
    "s.csv": as_csv,
    "s.tsv": as_tsv,
    "s.parquet": lambda path: pq.write_table(pa.Table.from_pylist(ROWS), path, row_group_size=2),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_seeds(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name)
    seeds = FilesSettings(path=str(tmp_path / name)).build()
    assert list(seeds) == [Seed(source=name, **row) for row in ROWS]
    assert list(seeds) == list(seeds)
    assert len(seeds) == 3
    reference = write(tmp_path / "reference.jsonl", ROWS)
    assert seeds.name == reference.name.replace("reference.jsonl", name)


def test_plain_text_is_one_caption_a_line(tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_bytes("\ufeffa cat\r\n\n  ein Café \n".encode())
    seeds = FilesSettings(path=str(tmp_path / "s.txt"), domain="mine").build()
    assert [(seed.text, seed.domain) for seed in seeds] == [("a cat", "mine"), ("ein Café", "mine")]
    assert [seed.id for seed in seeds] == [
        seed.id for seed in write(tmp_path / "s.jsonl", [{"text": s.text, "domain": "mine"} for s in seeds])
    ]


def test_columns_by_their_names_and_fields_that_are_empty(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("TITLE,id,key\na cat,ignored,1\na dog,ignored,2\n")
    columns = Columns(text="TITLE", id="key", domain=None)
    seeds = FilesSettings(path=str(tmp_path / "s.csv"), columns=columns).build()
    assert [(seed.id, seed.text) for seed in seeds] == [("1", "a cat"), ("2", "a dog")]
    (tmp_path / "s.csv").write_text("text,domain\na cat,\na dog,pets\n")
    assert [seed.domain for seed in FilesSettings(path=str(tmp_path / "s.csv")).build()] == ["open", "pets"]


def test_a_table_without_a_header_as_cc12m_is(tmp_path: Path) -> None:
    (tmp_path / "cc12m.tsv").write_text('https://a.b/c.jpg\ta "quoted cat\nhttps://a.b/d.jpg\ta dog\n')
    settings = FilesSettings(path=str(tmp_path / "cc12m.tsv"), header=False, columns=Columns(text="2"))
    assert [seed.text for seed in settings.build()] == ['a "quoted cat', "a dog"]


def coco(captions: Sequence[tuple[int, str]]) -> str:
    annotations = [{"image_id": image, "id": number, "caption": text} for number, (image, text) in enumerate(captions)]
    return json.dumps({"images": [], "annotations": annotations})


def test_of_coco_one_caption_is_kept_for_each_image_whatever_their_order(tmp_path: Path) -> None:
    captions = [(image, f"caption {number} of {image}") for number in range(5) for image in range(40)]
    kept = list[dict[str, str]]()
    for order in (captions, random.Random(0).sample(captions, len(captions))):
        (tmp_path / "captions_val2017.json").write_text(coco(order))
        seeds = FilesSettings(path=str(tmp_path / "captions_val2017.json")).build()
        kept.append({seed.id: seed.text for seed in seeds})
        assert len(seeds) == 40
    assert kept[0] == kept[1]
    assert all(text.endswith(f" of {image}") for image, text in kept[0].items())
    assert len({text.split()[1] for text in kept[0].values()}) == 5  # not always the first


def test_a_list_of_captions_is_as_coco(tmp_path: Path) -> None:
    rows = [{"id": f"{image}", "text": [f"a {image}", f"the {image}", ""]} for image in range(30)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "s.parquet")
    there = FilesSettings(path=str(tmp_path / "s.parquet")).build()
    backwards = write(tmp_path / "s.jsonl", [row | {"text": row["text"][::-1]} for row in rows])
    assert [(seed.id, seed.text) for seed in there] == [(seed.id, seed.text) for seed in backwards]
    assert {seed.text.split()[0] for seed in there} == {"a", "the"}


@pytest.mark.parametrize("path", ["", "*.*l*"])
def test_a_folder_and_a_pattern_are_several_files(path: str, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2.jsonl").write_text('{"text": "a dog"}\n')
    (tmp_path / "1.jsonl").write_text('{"text": "a cat"}\n{"text": "a dog"}\n')
    (tmp_path / "3.jsonl").write_text('{"text": "a cow"}\n')
    (tmp_path / ".4.jsonl").write_text('{"text": "hidden"}\n')
    (tmp_path / "notes.md").write_text("a note")
    seeds = FilesSettings(path=str(tmp_path / path)).build()
    assert [(seed.text, seed.source) for seed in seeds] == [
        ("a cat", "1.jsonl"),
        ("a dog", "1.jsonl"),
        ("a cow", "3.jsonl"),
    ]


def test_ids_are_unique_over_all_files(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.jsonl").write_text('{"text": "a cat"}\n{"text": "a dog", "id": 1}\n')
    with pytest.raises(UserError, match=r"b\.jsonl, line 2: the id '1' comes a second time"):
        FilesSettings(path=str(tmp_path)).build()


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
    assert "2 rows without an id repeat" in caplog.text


def test_the_same_text_in_two_domains_is_two_seeds(tmp_path: Path) -> None:
    lines = [{"text": "a crane"}, {"text": "a crane", "domain": "birds"}]
    seeds = write(tmp_path / "seeds.jsonl", lines)
    assert len({seed.id for seed in seeds}) == 2


def test_the_name_changes_with_what_the_seeds_are(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    row = {"text": "a cat", "id": "1", "domain": "open"}
    name, same, *others = (
        write(tmp_path / place / "a.jsonl", rows).name
        for place, rows in [
            ("", [row]),
            ("elsewhere", [{"text": " a cat", "id": 1, "note": "new"}]),
            ("", [row | {"text": "a dog"}]),
            ("", [row | {"id": "2"}]),
            ("", [row | {"domain": "pets"}]),
            ("", [row, {"text": "a dog"}]),
            ("", [{"text": "a dog"}, row]),
        ]
    )
    assert same == name
    assert len({name, *others}) == 6


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{not json", "not JSON ("),
        (b'{"text": "\xff"}', "not JSON ("),
        (b'["a cat"]', "not an object with a 'text'"),
        (b'{"caption": "a cat"}', "not an object with a 'text'"),
        (b'{"text": "  "}', "'text' is not a text, or is empty"),
        (b'{"text": null}', "'text' is not a text, or is empty"),
        (b'{"text": 7}', "'text' is not a text, or is empty"),
        (b'{"text": ["a", 7]}', "'text' is not a text, or is empty"),
        (b'{"text": "a cat", "domain": 7}', "'domain' is not a text, or is empty"),
        (b'{"text": "a cat", "id": " "}', "'id' is not a text, or is empty"),
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
    assert "Mend it there, or remove it" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("s.csv", b"text,id\na cat,1\na dog\n", "line 3: 1 fields where the first line has 2. Mend it there"),
        ("s.csv", b'text,id\n"a cat" and,1\n', "line 2: cannot be told apart into fields ("),
        ("s.csv", b"text,id\na cat,1\na dog,1\n", "line 3: the id '1' comes a second time"),
        ("s.csv", b"text,id\n,1\n", "line 2: 'text' is not a text, or is empty"),
        ("s.csv", b"caption,id\na cat,1\n", " has no column 'text', but 'caption', 'id'. Set seeds.columns.text="),
        ("s.tsv", b"", " has no column 'text', but . Set seeds.columns.text="),
        ("s.csv", b'text,id\na cat,1\n"a dog,2\na cow,3\n', "line 3: cannot be told apart into fields ("),
        ("s.csv", b"text,\xff\na cat,1\n", "line 1: not UTF-8 ("),
        ("s.tsv", b"text\tid\n\xff\t1\n", "line 2: not UTF-8 ("),
        ("s.txt", b"a cat\n\xff\n", "line 2: not UTF-8 ("),
        ("s.json", b"{", " is no JSON (unexpected end of data"),
        ("s.json", b"{}", " holds neither a list of objects nor the 'annotations' of COCO captions"),
        ("s.json", b'{"annotations": [{"image_id": 1}]}', "item 1: no COCO caption, which has an 'image_id' and a"),
        ("s.json", b'[{"text": "a cat"}, {}]', "item 2: not an object with a 'text'"),
        ("s.parquet", b"PAR1", " cannot be read as Parquet (Parquet file size is 4 bytes"),
        ("s.pdf", b"", "is cannot be told by its suffix. Set seeds.format= to one of jsonl, csv"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=re.escape(reason)) as caught:
        FilesSettings(path=str(tmp_path / name)).build()
    assert str(tmp_path / name) in str(caught.value)


def test_a_row_of_parquet_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a cat"] * 9000 + [None], "id": range(9001)}), tmp_path / "s.parquet")
    with pytest.raises(UserError, match=r"s\.parquet, row 9001: 'text' is not .*\. Mend it there, or remove it\."):
        FilesSettings(path=str(tmp_path / "s.parquet")).build()


def test_parquet_with_text_that_is_none_is_named(tmp_path: Path) -> None:
    damaged = pa.array([b"a cat"] * 9 + [b"\xff"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": damaged}), tmp_path / "s.parquet")
    with pytest.raises(UserError, match=r"s\.parquet, row 10: not UTF-8 \('utf-8' codec can't decode byte 0xff"):
        FilesSettings(path=str(tmp_path / "s.parquet")).build()


def test_a_column_that_is_named_must_be_in_every_line(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text('{"text": "a cat", "key": 1}\n{"text": "a dog"}\n')
    with pytest.raises(UserError, match="line 2: not an object with a 'key'"):
        FilesSettings(path=str(tmp_path / "s.jsonl"), columns=Columns(id="key")).build()


def test_the_format_goes_before_the_suffix(tmp_path: Path) -> None:
    (tmp_path / "captions").write_text("a cat\n")
    assert len(FilesSettings(path=str(tmp_path / "captions"), format=Format.text).build()) == 1


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("none.jsonl", "no such file. Set seeds.path to a file of captions (.jsonl, "),
        ("*.csv", "no such file. Set seeds.path to a file of captions (.jsonl, "),
        ("", "a folder of them, or a pattern such as captions/*.parquet"),
    ],
)
def test_no_file_is_named(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(UserError, match=re.escape(reason)) as caught:
        FilesSettings(path=str(tmp_path / name)).build()
    assert f"no seeds at {tmp_path / name}: " in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_an_empty_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "seeds.jsonl").write_bytes(content)
    with pytest.raises(UserError, match=r"no seeds in seeds\.jsonl: it is empty\. Choose another, or another seeds="):
        FilesSettings(path=str(tmp_path / "seeds.jsonl")).build()
