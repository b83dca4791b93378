"""Writing: one process, one maker, whole files, and the same bytes however often it was interrupted."""

import errno
import shutil
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import unicorn.files
from tests.dataset import example
from unicorn.dataset import DatasetWriter, Embeddings, UnicornDataset
from unicorn.errors import UserError
from unicorn.records import Caption


def test_two_writings_are_equal_byte_for_byte(finished: Path, tmp_path: Path):
    example.write(tmp_path / "elsewhere")
    assert example.contents(tmp_path / "elsewhere") == example.contents(finished)


def test_no_clock_and_no_absolute_path_is_in_any_file(finished: Path):
    for name, content in example.contents(finished).items():
        assert str(finished).encode() not in content, name


def test_nothing_temporary_is_left(finished: Path):
    assert sorted(example.contents(finished)) == [
        ".lock",
        "README.md",
        "captions/captions-00000.parquet",
        "captions/captions-00001.parquet",
        "captions/captions-00002.parquet",
        "embeddings/embeddings-00000.arrow",
        "embeddings/embeddings-00001.arrow",
        "embeddings/embeddings-00002.arrow",
        "embeddings/statistics.json",
        "embeddings/statistics.safetensors",
        "instructions/instructions-00000.parquet",
        "instructions/instructions-00001.parquet",
        "instructions/instructions-00002.parquet",
        "manifest.json",
        "rejects/captions-00000.jsonl",
        "rejects/captions-00001.jsonl",
        "rejects/captions-00002.jsonl",
    ]


def test_rejects_are_counted_over_all_runs(folder: Path):
    with DatasetWriter(folder, example.BLOCK_SIZE) as writer:
        part = writer.captions(example.made_by("captions"))
        assert part.rejected == {"refused": 6}
        assert part.rows == 90
    assert (folder / "rejects" / "captions-00001.jsonl").read_text().count('"reason":"refused"') == 2


def test_a_journal_goes_when_its_block_is_written(tmp_path: Path):
    with DatasetWriter(tmp_path) as writer:
        part = writer.captions({})
        with closing(part.journal(0)) as journal:
            journal.append([{"seed": 1}])
        assert [*tmp_path.glob("captions/*.journal.jsonl")]
        part.write(0, example.captions(0))
        assert not [*tmp_path.glob("captions/*.journal.jsonl")]


def test_writing_again_changes_nothing(folder: Path):
    before = example.contents(folder)
    example.write(folder)
    assert example.contents(folder) == before


def test_a_killed_run_goes_on_to_the_same_bytes(finished: Path, tmp_path: Path):
    folder, kills = tmp_path / "killed", 0
    for delay in np.random.default_rng().uniform(0.0, 0.12, 6):
        process = subprocess.Popen(
            [sys.executable, example.__file__, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            time.sleep(delay)
            process.kill()
        kills += process.returncode == -9
        require_readable(folder)
    example.write(folder)
    assert kills
    assert example.contents(folder) == example.contents(finished)


def test_a_disk_that_fails_at_any_step_leaves_a_dataset_to_go_on_from(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Each failure is one line that names a file; then the same folder is written on, to the same bytes."""
    failing, waits = 0, 0

    def fail_once(path: Path) -> None:
        nonlocal waits
        waits += 1
        if waits == failing:
            raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(unicorn.files, "sync", fail_once)
    example.write(tmp_path / "whole")
    for failing in range(1, waits + 1, 3):  # odd and even: the file's own sync, and its folder's
        folder, waits = tmp_path / str(failing), 0
        with pytest.raises(UserError, match=rf"cannot write {folder}.*: No space left on device"):
            example.write(folder)
        assert not list(folder.rglob("*.partial"))
        example.write(folder)
        assert example.contents(folder) == example.contents(finished)


def require_readable(folder: Path) -> None:
    """Every block is whole, or its journal holds the first of its captions and nothing else."""
    with DatasetWriter(folder, example.BLOCK_SIZE) as writer:
        part = writer.captions(example.made_by("captions"))
        for block in part.blocks:
            assert part.read(block) == example.captions(block)
        for path in folder.glob("captions/*.journal.jsonl"):
            block = int(path.name[len("captions-") :][:5])
            with closing(part.journal(block)) as journal:
                records = [Caption(**record) for record in journal.records]
            assert records == example.captions(block)[: len(records)]


@pytest.mark.parametrize(
    ("file", "begun"),
    [
        ("manifest.json", None),
        ("README.md", None),
        ("rejects/captions-00001.jsonl", None),
        ("captions/captions-00001.parquet", "captions"),
        ("embeddings/embeddings-00001.arrow", "embeddings"),
        ("embeddings/statistics.safetensors", "embeddings"),
    ],
)
def test_a_full_disk_is_one_line_that_names_the_file(finished: Path, tmp_path: Path, file: str, begun: str | None):
    """The system's own full device lies where the file is written; its part has been begun."""
    folder = tmp_path / "example"
    with DatasetWriter(folder, example.BLOCK_SIZE) as writer:
        if begun == "embeddings":
            example.write_captions(writer)
            writer.embeddings(example.SPACE, example.made_by("embeddings")).journal(0).close()
        elif begun == "captions":
            writer.captions(example.made_by("captions")).journal(0).close()
    full = folder / f"{file}.partial"
    full.parent.mkdir(exist_ok=True)
    full.symlink_to("/dev/full")
    with pytest.raises(UserError, match=rf"cannot write .*{file}: No space left on device") as raised:
        example.write(folder)
    assert "\n" not in str(raised.value)
    example.write(folder)
    assert example.contents(folder) == example.contents(finished)


def test_two_processes_cannot_write_at_once(tmp_path: Path):
    script = (
        "import sys; from unicorn.dataset import DatasetWriter\n"
        "with DatasetWriter(sys.argv[1]): print('locked', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        with (
            pytest.raises(UserError, match=f"another process is writing to {tmp_path}"),
            DatasetWriter(tmp_path),
        ):
            pass
        process.kill()
    with DatasetWriter(tmp_path):  # a lock dies with its process
        pass


def test_a_part_made_otherwise_is_refused_with_the_keys_that_differ(folder: Path):
    changed = example.made_by("captions") | {
        "prompt": {"version": "v2", "words": [51, 483]},
        "model": "large",
    }
    with DatasetWriter(folder, example.BLOCK_SIZE) as writer:
        with pytest.raises(
            UserError,
            match=r"were made otherwise \(model was None and is 'large'; prompt\.version was 'v1' and is 'v2'",
        ):
            writer.captions(changed)
        with pytest.raises(
            UserError, match=r"space was 'example/8' and is 'other'\).* or delete .* to have them made again"
        ):
            writer.embeddings("other", example.made_by("embeddings"))


def test_another_block_size_is_refused(folder: Path):
    with pytest.raises(UserError, match="is made of blocks of 40 seeds, not 50"), DatasetWriter(folder, 50):
        pass
    with DatasetWriter(folder, example.BLOCK_SIZE):  # and the refusal let go of the lock
        pass


def test_a_part_that_was_complete_cannot_be_extended(folder: Path):
    with DatasetWriter(folder, example.BLOCK_SIZE) as writer:
        part = writer.captions(example.made_by("captions"))
        for extend in (lambda: part.journal(3), lambda: part.write(3, [example.caption(1)])):
            with pytest.raises(UserError, match=r"the captions of .* are complete, and there is now more to make them"):
                extend()
        with pytest.raises(UserError, match=r"hold 3 blocks, and 4 are expected now"):
            part.complete(4)


def test_a_part_whose_folder_was_deleted_is_made_again(folder: Path, finished: Path):
    shutil.rmtree(folder / "instructions")
    with DatasetWriter(folder, example.BLOCK_SIZE) as writer:
        part = writer.instructions({"stage": "another"})
        assert part.blocks == []
    example.write(folder)
    assert example.contents(folder) == example.contents(finished)


def test_what_was_made_from_other_captions_is_refused(folder: Path):
    shutil.rmtree(folder / "captions")
    with DatasetWriter(folder, example.BLOCK_SIZE) as writer:
        part = writer.captions({"stage": "another"})
        for block in range(example.BLOCKS):
            others = [replace(caption, text="Something else.") for caption in example.captions(block)]
            part.write(block, others)
        part.complete(example.BLOCKS)
        with pytest.raises(UserError, match=r"instructions-00000\.parquet was made from other captions"):
            writer.instructions(example.made_by("instructions"))
    with pytest.raises(UserError, match="was made from other captions"):
        UnicornDataset.open(folder)


def test_vectors_must_be_those_of_the_captions(tmp_path: Path):
    with DatasetWriter(tmp_path, example.BLOCK_SIZE) as writer:
        example.write_captions(writer)
        ids = [caption.id for caption in example.captions(0)]
        part = writer.embeddings(example.SPACE, {})
        with pytest.raises(UserError, match=r"not, row by row, those of the captions in .*captions-00000\.parquet"):
            part.write(0, Embeddings(ids=ids[::-1], vectors=example.vectors(0)))
        for value in (np.nan, np.inf, 1e6):  # the last is not finite in float16
            bad = example.vectors(0).astype(np.float32)
            bad[5, 1] = value
            with pytest.raises(UserError, match=f"row 5, the vector of caption {ids[5]}, is not finite in float16"):
                part.write(0, Embeddings(ids=ids, vectors=bad))
        assert part.blocks == []


def test_a_block_of_which_all_was_rejected_is_an_empty_shard(tmp_path: Path):
    with DatasetWriter(tmp_path, example.BLOCK_SIZE) as writer:
        captions = writer.captions({})
        vectors = writer.embeddings(example.SPACE, {})
        for block in range(3):
            kept = [] if block == 1 else example.captions(block)
            captions.write(block, kept, example.rejects(block))
            ids = [caption.id for caption in kept]
            vectors.write(block, Embeddings(ids=ids, vectors=example.vectors(block)[: len(ids)]))
        captions.complete(3)
        vectors.complete(3)
    dataset = UnicornDataset.open(tmp_path)
    assert list(dataset.captions()) == example.captions(0) + example.captions(2)
    first = len(example.captions(0))
    np.testing.assert_array_equal(dataset.vectors(np.array([first]))[0], example.vectors(2)[0])
    assert dataset.domains(np.array([first])) == [example.captions(2)[0].domain]


def test_a_folder_that_lost_its_manifest_is_not_written_over(folder: Path):
    (folder / "manifest.json").unlink()
    with pytest.raises(UserError, match=r"holds captions, instructions, embeddings and no manifest\.json"):
        example.write(folder)


def test_a_shard_that_is_gone_is_named_before_anything_is_written(folder: Path):
    (folder / "captions" / "captions-00001.parquet").unlink()
    with pytest.raises(UserError, match=r"captions-00001\.parquet is missing"):
        example.write(folder)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match=r"cannot write .*file/dataset: Not a directory\. Choose another folder"),
        DatasetWriter(tmp_path / "file/dataset"),
    ):
        pass


def test_rejects_of_a_run_that_ended_before_its_shard_are_not_left(tmp_path: Path):
    with DatasetWriter(tmp_path, example.BLOCK_SIZE) as writer:
        part = writer.captions(example.made_by("captions"))
        stale = tmp_path / "rejects" / "captions-00000.jsonl"
        stale.parent.mkdir()
        stale.write_text("{}\n")
        part.write(0, example.captions(0))
    assert not stale.exists()
