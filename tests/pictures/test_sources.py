"""A folder, Parquet files and a Hub dataset give the same pictures, and say which they could not."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evaluate import evaluate
from tests.conftest import run_script
from tests.pictures.pictures import corners, encoded, four_corners
from unicorn.errors import UserError
from unicorn.pictures import Picture, PicturesSettings, Rejection, Sifting
from unicorn.pictures.columns import Columns
from unicorn.pictures.decoding import DecodingSettings
from unicorn.pictures.folder import FolderSettings
from unicorn.pictures.hub import HubSettings
from unicorn.pictures.parquet import ParquetSettings
from unicorn.scenes.benchmark import SceneBenchmarkSettings

GOOD = encoded(four_corners())
TURNED = encoded(four_corners().transpose(2))
FILES = {
    "animal/a.png": (GOOD, "four colours"),
    "animal/b.png": (GOOD[:60], "half a file"),
    "plant/c.png": (TURNED, "the same, turned"),
    "plant/d.png": (None, "no file"),
}
LABELS = ["animal", "plant"]
COLUMNS = Columns(id="name", caption="text", domain="kind")


def _folder(root: Path) -> PicturesSettings:
    for name, (data, _) in FILES.items():
        (root / name).parent.mkdir(exist_ok=True, parents=True)
        if data is not None:
            (root / name).write_bytes(data)
    lines = [json.dumps({"file_name": name, "text": text}) for name, (_, text) in FILES.items()]
    (root / "metadata.jsonl").write_text("\n".join([*lines, ""]))
    (root / "notes.txt").write_text("not a picture")
    return FolderSettings(path=str(root))


def _rows() -> dict[str, list[Any]]:
    return {
        "name": list(FILES),
        "text": [text for _, text in FILES.values()],
        "kind": [name.split("/")[0] for name in FILES],
        "image": [data for data, _ in FILES.values()],
    }


def _parquet(root: Path) -> PicturesSettings:
    root.mkdir()
    table = pa.table(_rows())
    pq.write_table(table.slice(0, 1), root / "0.parquet")
    pq.write_table(table.slice(1), root / "1.parquet")
    return ParquetSettings(path=str(root), columns=COLUMNS)


def _structs(root: Path) -> PicturesSettings:
    root.mkdir()
    rows = _rows()
    rows["image"] = [{"bytes": data, "path": None} for data in rows["image"]]
    rows["text"] = [[text, "another"] for text in rows["text"]]
    pq.write_table(pa.table(rows), root / "all.parquet")
    return ParquetSettings(path=str(root / "all.parquet"), columns=COLUMNS)


def _hub(root: Path) -> PicturesSettings:
    rows = _rows()
    rows["image"] = [None if data is None else {"bytes": data, "path": None} for data in rows["image"]]
    features = datasets.Features(
        name=datasets.Value("string"),
        text=datasets.Value("string"),
        kind=datasets.ClassLabel(names=LABELS),
        image=datasets.Image(),
    )
    root.mkdir()
    datasets.Dataset.from_dict(rows, features=features).to_parquet(root / "test-00000-of-00001.parquet")
    return HubSettings(name=str(root), columns=COLUMNS)


@pytest.mark.parametrize("make", [_folder, _parquet, _structs, _hub])
def test_every_source_gives_the_same(make: Callable[[Path], PicturesSettings], tmp_path: Path) -> None:
    source = make(tmp_path / "pictures").build()
    for _ in range(2):  # each pass anew
        found = list(source.pictures())
        assert [(each.id, each.caption, each.domain) for each in found] == [
            ("animal/a.png", "four colours", "animal"),
            ("plant/c.png", "the same, turned", "plant"),
        ]
        assert [corners(each.image) for each in found] == [
            ["red", "green", "blue", "white"],
            ["green", "white", "red", "blue"],
        ]
        assert isinstance(source, Sifting)
        assert [each.id for each in source.rejections] == ["animal/b.png", "plant/d.png"]
        assert "truncated" in source.rejections[0].reason
        assert source.rejections[1].reason.startswith(("there are no bytes", "cannot be opened ("))


def test_a_config_and_a_revision_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _hub(tmp_path / "h")
    (tmp_path / "h" / "README.md").write_text(
        "---\nconfigs:\n- {config_name: none, data_files: none.parquet}\n"
        "- {config_name: all, data_files: [{split: val, path: test-*.parquet}]}\n---\n"
    )
    pq.write_table(pa.table({"n": [1]}), tmp_path / "h" / "none.parquet")
    settings = HubSettings(name=str(tmp_path / "h"), config="all", split="val", revision="abc", columns=COLUMNS)
    asked: dict[str, Any] = {}
    real = datasets.load_dataset_builder

    def load_dataset_builder(*names: str, **options: Any) -> Any:
        asked.update(options)
        return real(*names, **options)

    monkeypatch.setattr(datasets, "load_dataset_builder", load_dataset_builder)
    assert len(_read(settings)) == 2
    assert asked["revision"] == "abc"


def test_what_no_column_says_is_numbered_and_open(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": [GOOD, TURNED]}), tmp_path / "p.parquet")
    found = ParquetSettings(path=str(tmp_path / "p.parquet")).build().pictures()
    assert [(each.id, each.caption, each.domain) for each in found] == [("0", "", "open"), ("1", "", "open")]


def test_a_row_without_a_caption_or_a_domain_has_none(tmp_path: Path) -> None:
    rows = {"image": [GOOD, GOOD], "text": pa.array([None, []], pa.list_(pa.string())), "kind": [None, "plant"]}
    pq.write_table(pa.table(rows), tmp_path / "p.parquet")
    columns = Columns(caption="text", domain="kind")
    found = ParquetSettings(path=str(tmp_path / "p.parquet"), columns=columns).build().pictures()
    assert [(each.caption, each.domain) for each in found] == [("", "open"), ("", "plant")]


def test_an_id_is_given_once(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": [GOOD[:60], TURNED, GOOD], "n": [1, 1, 1]}), tmp_path / "p.parquet")
    source = ParquetSettings(path=str(tmp_path / "p.parquet"), columns=Columns(id="n")).build()
    (kept,) = source.pictures()
    assert corners(kept.image)[0] == "green"
    assert source.rejections[1] == Rejection(id="1", reason="its id came before")


def test_files_are_found_whatever_their_folder_and_name(tmp_path: Path) -> None:
    names = ["b/c/2.JPG", "a::b [1]*.png", "top.png", "b/photo.heic", "web.jfif", "old.jpe", os.fsdecode(b"\xff.png")]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(GOOD if name != "b/photo.heic" else b"....ftypheic")
    source = FolderSettings(path=str(tmp_path)).build()
    found = [(each.id, each.domain) for each in source.pictures()]
    assert found == [
        ("a::b [1]*.png", "open"),
        ("b/c/2.JPG", "b"),
        *((name, "open") for name in ("old.jpe", "top.png", "web.jfif", "\\xff.png")),
    ]
    assert [each.id for each in source.rejections] == ["b/photo.heic"]


def test_a_streamed_address_is_opened(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(GOOD)
    row = {"bytes": None, "path": (tmp_path / "a.png").as_uri()}
    pq.write_table(
        pa.table({"image": [row, row | {"path": "memory://nowhere.png"}, row | {"path": "nosuch://a.png"}]}),
        tmp_path / "p.parquet",
    )
    source = ParquetSettings(path=str(tmp_path / "p.parquet")).build()
    assert [each.id for each in source.pictures()] == ["0"]
    assert [each.id for each in source.rejections] == ["1", "2"]
    assert all(each.reason.startswith("cannot be opened (") for each in source.rejections)


def test_limits_are_settings(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(GOOD)
    (kept,) = FolderSettings(path=str(tmp_path), decoding=DecodingSettings(longest_side=16)).build().pictures()
    assert kept.image.size == (16, 16)
    source = FolderSettings(path=str(tmp_path), decoding=DecodingSettings(most_pixels=1023)).build()
    line = r"no picture in .*: all 1 are rejected, the first, a.png: 32 x 32 pixels are more than most_pixels=1023\."
    with pytest.raises(UserError, match=line):
        list(source.pictures())


def _read(settings: PicturesSettings) -> list[Picture]:
    return list(settings.build().pictures())


def test_where_nothing_is_a_line_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such folder. Set pictures.path to one of picture files"):
        _read(FolderSettings(path=str(tmp_path / "none")))
    with pytest.raises(UserError, match=r"it is empty. Choose another by pictures="):
        _read(FolderSettings(path=str(tmp_path)))
    with pytest.raises(UserError, match=r"no Parquet file is there. Set pictures.path to one, or a folder"):
        _read(ParquetSettings(path=str(tmp_path)))
    with pytest.raises(UserError, match=r"no split 'test' of it can be had \(.*\)\. Set pictures.name=, .config="):
        _read(HubSettings(name=str(tmp_path / "none")))
    (tmp_path / "README.md").write_text("---\nconfigs:\n- {config_name: default, data_files: no.parquet}\n---\n")
    with pytest.raises(UserError) as caught:  # of which datasets tells a page
        _read(HubSettings(name=str(tmp_path)))
    assert len(str(caught.value)) < 450
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("line", ["nonsense", "[]", '{"file_name": "a.png"}', '{"file_name": "a.png", "text": 3}'])
def test_a_bad_line_of_metadata_is_named(line: str, tmp_path: Path) -> None:
    good = json.dumps({"file_name": "a.png", "text": "a"})
    (tmp_path / "metadata.jsonl").write_text(f"{good}\n\n{line}\n")
    with pytest.raises(UserError, match=r'metadata.jsonl, line 3: not a \{"file_name", "text"\}. Mend or remove the'):
        _read(FolderSettings(path=str(tmp_path)))


def test_a_wrong_column_is_named_beside_those_that_are_there(tmp_path: Path) -> None:
    _parquet(tmp_path / "p")
    with pytest.raises(
        UserError,
        match=r"has no column 'jpg', but name, text, kind, image. Set pictures.columns.image=, .id=, "
        r".caption= and .domain= to those that are meant",
    ):
        _read(ParquetSettings(path=str(tmp_path / "p"), columns=Columns(image="jpg")))
    with pytest.raises(UserError, match="the column 'text' holds str, not the bytes of pictures"):
        _read(ParquetSettings(path=str(tmp_path / "p"), columns=Columns(image="text")))
    pq.write_table(pa.table({"image": [{"pixels": 3}]}), tmp_path / "struct.parquet")
    with pytest.raises(UserError, match="the column 'image' holds dict, not the bytes of pictures"):
        _read(ParquetSettings(path=str(tmp_path / "struct.parquet")))
    _hub(tmp_path / "h")
    with pytest.raises(UserError, match="has no column 'caption', but name, text, kind, image"):
        _read(HubSettings(name=str(tmp_path / "h"), columns=Columns(caption="caption")))
    with pytest.raises(UserError, match=r"the column 'text' is no Image. Set pictures.columns.image="):
        _read(HubSettings(name=str(tmp_path / "h"), columns=Columns(image="text")))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    _parquet(tmp_path / "p")
    file = tmp_path / "p" / "1.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"1.parquet cannot be read as Parquet \(.*\)\. Fetch it again, or remove it"):
        ParquetSettings(path=str(tmp_path / "p")).build()
    file.write_bytes(whole)
    source = ParquetSettings(path=str(tmp_path / "p")).build()
    file.write_bytes(b"PAR1" + bytes(200) + whole[-len(whole) // 2 :])  # its footer is whole, its pages are not
    with pytest.raises(UserError, match="cannot be read as Parquet"):
        list(source.pictures())
    file.unlink()
    hub = tmp_path / "h"
    _hub(hub)
    stream = HubSettings(name=str(hub), columns=COLUMNS).build()
    (hub / "test-00000-of-00001.parquet").write_bytes(b"nonsense")
    with pytest.raises(UserError, match=r"\(test\) broke off \(.*\)\. Try again\."):
        list(stream.pictures())


def test_the_command_reads_files_as_the_scenes_they_are(tmp_path: Path, small_dataset: Path) -> None:
    scenes = list(SceneBenchmarkSettings(count=40).build().pictures())
    folder = tmp_path / "pictures"
    for number, each in enumerate(scenes):
        path = folder / each.domain / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(each.image))
    broken = folder / os.fsdecode(b"broken\xff.png")  # no text
    broken.write_bytes(b"nothing")
    common = ("run=null", "encoder=scenes", "task=statistics")
    out = tmp_path / "out"
    finished = run_script(evaluate, *common, "pictures=folder", f"pictures.path={folder}", f"out={out}")
    assert finished.code == 0, finished.err
    rejected = out / "rejected_pictures.jsonl"
    line = {"id": r"broken\xff.png", "reason": "not a picture in a format that is read"}
    assert [json.loads(each) for each in rejected.read_text().splitlines()] == [line]
    assert "1 rejected pictures" in finished.out
    assert "not a picture in a format that is read" in (out / "report.html").read_text()

    same = run_script(evaluate, *common, "pictures.count=40", f"out={tmp_path / 'scenes'}")
    assert same.code == 0, same.err
    found, expected = (json.loads((at / "metrics.json").read_text()) for at in (out, tmp_path / "scenes"))
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[key] for key in expected], [*expected.values()], atol=1e-6)

    broken.unlink()
    again = run_script(evaluate, *common, "pictures=folder", f"pictures.path={folder}", f"out={out}")
    assert again.code == 0, again.err
    assert not rejected.exists()
