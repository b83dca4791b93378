"""What a source of seeds left out is written down beside the dataset, and shown at the end."""

import json
from pathlib import Path

from synthesize import synthesize
from tests.conftest import run_script
from tests.synthesis.stand_ins import ListedSeeds
from unicorn.seeds.files import FilesSettings
from unicorn.seeds.filter import FilterSettings
from unicorn.synthesis.seed_rejects import open_seeds

TEXTS = ["a cat on a mat", "a cat", "eine Katze auf einer Matte", "A CAT ON A MAT!", "a dog in the rain"]
REASONS = {"a cat": "too few words", "eine Katze auf einer Matte": "another language"}


def settings(folder: Path) -> FilesSettings:
    (folder / "web.txt").write_text("\n".join(TEXTS))
    return FilesSettings(path=str(folder / "web.txt"), filter=FilterSettings(enabled=True))


def test_rejects_are_written_once_and_counted(tmp_path: Path) -> None:
    rejects = tmp_path / "rejects" / "seeds.jsonl"
    for _ in range(2):
        seeds, (report,) = open_seeds(settings(tmp_path).build, tmp_path)
        lines = [json.loads(line) for line in rejects.read_text().splitlines()]
        told = {line["answer"]: line["reason"] for line in lines}
        assert told.items() >= REASONS.items()
        assert sorted(told.values()) == ["a duplicate", "another language", "too few words"]
        assert {(line["stage"], line["attempts"]) for line in lines} == {("seeds", 0)}
        assert (report.stage, report.written, sum(report.rejected.values())) == ("seeds", len(seeds), 3)
        assert len(seeds) == 2


def test_a_row_that_cannot_be_read_is_written_by_its_place(tmp_path: Path) -> None:
    (tmp_path / "web.txt").write_bytes(b"a cat on a mat\nthe caf\xe9 in the rain\n")
    built = FilesSettings(path=str(tmp_path / "web.txt"), filter=FilterSettings(enabled=True)).build
    _, (report,) = open_seeds(built, tmp_path)
    assert report.rejected == {"not UTF-8": 1}
    (line,) = map(json.loads, (tmp_path / "rejects" / "seeds.jsonl").read_text().splitlines())
    assert (line["id"], line["answer"]) == ("web.txt, line 2", "the caf\ufffd in the rain")


def test_where_nothing_is_left_out_there_is_no_file_and_no_line(tmp_path: Path) -> None:
    open_seeds(settings(tmp_path).build, tmp_path)
    assert open_seeds(lambda: ListedSeeds(3), tmp_path)[1] == []
    assert not (tmp_path / "rejects" / "seeds.jsonl").exists()


def test_the_command_shows_them(tmp_path: Path) -> None:
    path = settings(tmp_path).path
    command = (f"dataset={tmp_path / 'data'}", "seeds=files", f"seeds.path={path}", "seeds.filter.enabled=true")
    finished = run_script(synthesize, *command, "synthesis.densify=false", "stages=[captions]")
    assert finished.code == 0, finished.err
    table = [line.split() for line in finished.out.splitlines()]
    assert ["seeds", "2", "3", "0"] in [line[:4] for line in table]
    assert ["captions", "2", "0", "0"] in [line[:4] for line in table]
    assert ["another", "language", "1", "0"] in table
    assert (tmp_path / "data" / "rejects" / "seeds.jsonl").is_file()
