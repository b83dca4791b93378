"""What the filter drops of a crawl, and what it leaves; what is dropped is counted and kept."""

import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unicorn.errors import UserError
from unicorn.seeds import Sifting
from unicorn.seeds.corpus import Corpus
from unicorn.seeds.files import FilesSettings
from unicorn.seeds.filter import DropReason, Filter, FilterSettings
from unicorn.seeds.rows import Flaw

ON = FilterSettings(enabled=True)
GOOD = """\
a red bus
a cat on a mat
An image of a delicious apple pie.
person walks the runway at the fashion show
biological species in the garden
football player celebrates scoring the opening goal
digital art selected for the #
vector illustration of a green leaf
Toyota Corolla 2004 sedan
vintage blue velvet armchair
Bordeaux vineyard tour
a Café in Zürich, and people from the 1920s
A man in stockings spins it on a stick, 50 feet up.
a piano concert in Paris, with cookies on every table
""".splitlines()
BAD = {
    "two words": DropReason.TOO_SHORT,
    "word by word " * 40: DropReason.TOO_LONG,
    "1234 5678 - 90 / $ 12.99 ea": DropReason.FEW_LETTERS,
    "see https://example.org/cats for the cats": DropReason.ADDRESS,
    "photos at example.com of a cat": DropReason.ADDRESS,
    "write to me@example.org about the cat": DropReason.ADDRESS,
    "the picture cat-on-mat.JPG from yesterday": DropReason.FILE_NAME,
    "my holiday IMG_2041 by the sea": DropReason.FILE_NAME,
    "a cat soooooo cute and fluffy": DropReason.REPETITION,
    "buy cheap cheap cheap shoes": DropReason.REPETITION,
    "a cat on a mat !!!!!!": DropReason.REPETITION,
    "We use cookies to improve this page": DropReason.BOILERPLATE,
    "Please read our cookie policy for details": DropReason.BOILERPLATE,
    "Click here to see a cat on a mat": DropReason.BOILERPLATE,
    "a cat on a mat, royalty-free": DropReason.BOILERPLATE,
    "a woman with a salad - stock photo": DropReason.BOILERPLATE,
    "Photograph of a lake, \xa9 the artist": DropReason.BOILERPLATE,
    "this image is not on sale: 20% off": DropReason.BOILERPLATE,
    "the photo not available for this item": DropReason.BOILERPLATE,
    "une femme assise sur un banc": DropReason.LANGUAGE,
    "eine Katze auf einer Matte": DropReason.LANGUAGE,
    "un perro negro en la playa": DropReason.LANGUAGE,
    "красный автобус на улице": DropReason.LANGUAGE,
    "een man op een fiets": DropReason.LANGUAGE,
}


def corpus(path: Path, texts: Sequence[str], settings: FilterSettings = ON) -> Corpus:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return FilesSettings(path=str(path), filter=settings).build()


@pytest.mark.parametrize("text", GOOD)
def test_a_caption_is_left(text: str) -> None:
    assert Filter(ON).reason(text) is None


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_caption_is_dropped_for_its_reason(text: str) -> None:
    assert Filter(ON).reason(text) is BAD[text]


def test_what_is_dropped_is_counted_and_kept_with_its_reason(tmp_path: Path) -> None:
    seeds = corpus(tmp_path / "web.jsonl", [*GOOD, *BAD, "", GOOD[0].upper() + "!"])
    assert isinstance(seeds, Sifting)
    expected = Counter(reason.value for reason in BAD.values())
    expected += Counter([DropReason.TOO_SHORT.value, DropReason.DUPLICATE.value])
    assert seeds.rejected == expected
    rejects = list(seeds.rejects())
    assert Counter(reject.reason for reject in rejects) == expected
    told = {reject.answer: reject.reason for reject in rejects}
    assert {text: told[text.strip()] for text in BAD} == BAD
    assert len(seeds) == len(list(seeds)) == len(GOOD)
    assert not {reject.id for reject in rejects} & {seed.id for seed in seeds}


def test_off_unless_asked_for(tmp_path: Path) -> None:
    seeds = corpus(tmp_path / "web.jsonl", [text for text in BAD if text], FilterSettings())
    assert len(seeds) == len(BAD)
    assert not seeds.rejected


def test_each_check_can_be_set() -> None:
    lax = Filter(
        FilterSettings(enabled=True, words_min=1, words_max=500, letters_min=0, language=None, boilerplate=False)
    )
    assert not [text for text in BAD if lax.reason(text)]
    german = Filter(FilterSettings(enabled=True, language="de"))
    assert german.reason("eine Katze auf einer Matte") is None
    assert german.reason("a cat sits on the mat in the sun") is DropReason.LANGUAGE


words = st.lists(st.sampled_from(["a cat", "A Cat.", "the dog", "the  dög", "on: mats", "on mats"]), min_size=1)


@given(words, st.randoms(use_true_random=False))
def test_of_duplicates_the_same_is_kept_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], rng: random.Random
) -> None:
    folder = tmp_path_factory.mktemp("seeds")
    settings = FilterSettings(enabled=True, words_min=1, language=None)
    shuffled = rng.sample(texts, len(texts))
    kept, again = ({seed.text for seed in corpus(folder / "s.jsonl", order, settings)} for order in (texts, shuffled))
    assert kept == again
    assert {Filter.key(text) for text in kept} == {Filter.key(text) for text in texts}
    assert len(kept) == len({Filter.key(text) for text in texts})


def test_the_name_changes_with_what_is_left(tmp_path: Path) -> None:
    texts = [*GOOD, "two words"]
    names = {
        corpus(tmp_path / "s.jsonl", texts, settings).name
        for settings in (FilterSettings(), ON, FilterSettings(enabled=True, words_max=90))
    }
    assert len(names) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"words_min": 0}, r"words_min=0: a seed has 1 word or more"),
        ({"words_min": 9, "words_max": 8}, "words_min is larger than seeds.filter.words_max. Mend"),
        ({"letters_min": 60}, r"letters_min=60 is a share: it must be from 0 to 1"),
        ({"language": "klingon"}, r"language=klingon is not known\. Choose from .*, en, .*, or null for any"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        FilterSettings(enabled=True, **changes).build()  # pyright: ignore[reportArgumentType]


GOOD_TWO = ["a cat on the mat", "a fish in the water"]
CSV = b"""\
text,id
a cat on the mat,1
a dog
the caf\xe9 in the rain,2
"a cow in the field,3
a red bus on the street,4
"a sheep on
the hill",5
"a goat" in the sun,6
a bird in the tree,1
,7
a fish in the water,8
"""
JSONL = b"""\
{"text": "a cat on the mat", "id": 1}
{"text": "a dog in
{"text": "the caf\xe9 in the rain"}

["a cow in the field"]
{"caption": "a red bus on the street"}
{"text": 7}
{"text": ["a goat in the sun", 7]}
{"text": "a bird in the tree", "id": 1}
{"text": "a duck in the tree", "id": []}
{"text": "a hen in the tree", "domain": 7}
{"text": " "}
{"text": "a fish in the water", "id": 8}
"""


def as_parquet(texts: Sequence[bytes]) -> bytes:
    sink = pa.BufferOutputStream()
    text = pa.array(texts, pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": text, "id": [*range(len(texts) - 1), 0]}), sink)
    return sink.getvalue().to_pybytes()


MALFORMED = {
    "web.csv": (
        CSV,
        ["a cat on the mat", "a red bus on the street", "a sheep on\nthe hill", "a fish in the water"],
        {3: Flaw.FIELDS, 4: Flaw.ENCODING, 5: Flaw.FIELDS, 9: Flaw.FIELDS, 10: Flaw.REPEATED},
    ),
    "web.jsonl": (
        JSONL,
        ["a cat on the mat", "a fish in the water"],
        {2: Flaw.JSON, 3: Flaw.JSON, 5: Flaw.FIELDS, 6: Flaw.FIELDS, 7: Flaw.TEXT, 8: Flaw.TEXT, 9: Flaw.REPEATED}
        | {10: Flaw.ID, 11: Flaw.DOMAIN},
    ),
    "web.txt": (b"a cat on the mat\nthe caf\xe9\n\na fish in the water\n", GOOD_TWO, {2: Flaw.ENCODING}),
    "web.parquet": (
        as_parquet([b"a cat on the mat", b"the caf\xe9 in the rain", b"a fish in the water", b"a bird in a tree"]),
        GOOD_TWO,
        {2: Flaw.ENCODING, 4: Flaw.REPEATED},
    ),
    "web.json": (
        b'[{"text": "a cat on the mat"}, {"id": 2}, "a dog", {"text": "a fish in the water"}]',
        GOOD_TWO,
        {2: Flaw.FIELDS, 3: Flaw.FIELDS},
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_of_a_crawl_a_malformed_row_is_rejected_by_its_place(name: str, tmp_path: Path) -> None:
    content, left, flaws = MALFORMED[name]
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / name).write_bytes(content)
    (tmp_path / "b.txt").write_text("a horse in the stable\n")
    seeds = FilesSettings(path=str(tmp_path), filter=ON).build()
    assert [seed.text for seed in seeds] == [*left, "a horse in the stable"]
    assert len(seeds) == len(left) + 1
    rejects = list(seeds.rejects())
    unit = {".parquet": "row", ".json": "item"}.get(Path(name).suffix, "line")
    placed = {reject.id: reject.reason for reject in rejects if reject.reason != DropReason.TOO_SHORT}
    assert placed == {f"a/{name}, {unit} {number}": flaw.value for number, flaw in flaws.items()}
    assert seeds.rejected == Counter(reject.reason for reject in rejects)
    assert not {reject.id for reject in rejects} & {seed.id for seed in seeds}
    with pytest.raises(UserError, match=rf"{name}, {unit} {min(flaws)}"):
        FilesSettings(path=str(tmp_path / "a"), filter=FilterSettings(words_min=1)).build()


def test_what_a_malformed_row_holds_is_kept(tmp_path: Path) -> None:
    (tmp_path / "web.jsonl").write_bytes(JSONL)
    seeds = FilesSettings(path=str(tmp_path / "web.jsonl"), filter=ON).build()
    held = {reject.id.removeprefix("web.jsonl, line "): reject.answer for reject in seeds.rejects()}
    assert held["2"] == '{"text": "a dog in'
    assert held["3"] == '{"text": "the caf\ufffd in the rain"}'
    assert held["6"] == '{"caption": "a red bus on the street"}'
    assert held["9"] == "a bird in the tree"


@given(st.binary(max_size=60), st.integers(0, 3))
def test_no_bytes_end_a_crawl(tmp_path_factory: pytest.TempPathFactory, noise: bytes, row: int) -> None:
    folder = tmp_path_factory.mktemp("seeds")
    lines = [f"id of {animal},a {animal} in the garden\n".encode() for animal in ("cat", "dog", "cow")]
    (folder / "web.csv").write_bytes(b"id,text\n" + b"".join([*lines[:row], noise, b"\n", *lines[row:]]))
    seeds = FilesSettings(path=str(folder / "web.csv"), filter=ON).build()
    assert {"id of cat", "id of dog", "id of cow"} <= {seed.id for seed in seeds}


def test_when_nothing_is_left_the_reason_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the filter drops all 2, 2 of them for 'too few words'\. Change"):
        corpus(tmp_path / "s.jsonl", ["cat", "dog"])
