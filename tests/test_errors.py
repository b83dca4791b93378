"""Every mistake that a user can make on the command line ends in one line, exit code 2, and no traceback."""

import multiprocessing
import shutil
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from evaluate import evaluate
from synthesize import synthesize
from tests.conftest import BRIEF, SMALL, Finished, run_script
from train import train
from unicorn.config import Config
from unicorn.dataset import DatasetWriter, Embeddings
from unicorn.dataset.manifest import Manifest, Part
from unicorn.files import lock_folder
from unicorn.records import Caption
from unicorn.stamp import Stamp


def line_of(finished: Finished) -> str:
    """The one line on standard error."""
    assert finished.code == 2, finished.err
    lines = finished.err.strip().splitlines()
    assert len(lines) == 1, finished.err
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("transfre=c3", ["'transfre'", "Did you mean 'transfer'"]),
        ("synthesis.max_atempts=1", ["'synthesis.max_atempts'", "Did you mean 'max_attempts'"]),
        ("align.batch=many", ["'align.batch'", "'many'", "Integer"]),
        ("seed=abc", ["'seed'", "'abc'", "Integer"]),
        ("model.visual_mode=doubled", ["'model.visual_mode'", "'doubled'", "learned", "repeated"]),
        ("transfer=c4", ["transfer=c4", "c3", "mean_shift", "realign"]),
        ("task=[scenes,crossword]", ["task=crossword", "geometry", "scenes"]),
        ("+extra.key=1", ["'extra'"]),
        ("+transfer.key=1", ["'transfer.key'"]),
        ("seed=0,1", ["seed=0,1", "--multirun"]),
        ("align.batch=0", ["batch=0 of a stage: must be at least 1"]),
        ("tune.projector_learning_rate=-1", ["projector_learning_rate=-1.0 of a stage: a learning rate cannot be"]),
        ("data.row_length=0", ["data.row_length=0: 1 at least"]),
        ("data.workers=-1", ["data.workers=-1: 0 at least"]),
        ("tune.max_grad_norm=0", ["max_grad_norm=0.0 of a stage: must be above 0"]),
        ("align.warmup_ratio=3", ["warmup_ratio=3.0 of a stage: must be a share of its steps, 0 to 1."]),
        ("trainer.checkpoint_every=0", ["trainer.checkpoint_every=0: must be 1 step or more"]),
    ],
)
def test_a_mistaken_override_is_named(override: str, parts: list[str]) -> None:
    line = line_of(run_script(train, override))
    for part in parts:
        assert part in line


@pytest.mark.parametrize("script", [synthesize, evaluate])
def test_every_script_knows_the_same_keys(script: Callable[[Config], None]) -> None:
    assert "Did you mean 'transfer'" in line_of(run_script(script, "transfre=c3"))


@pytest.mark.parametrize("script", [synthesize, train])
def test_an_unknown_stage_is_named(script: Callable[[Config], None], tmp_path: Path) -> None:
    line = line_of(run_script(script, f"dataset={tmp_path}", "stages=[captoins]"))
    assert "unknown stage 'captoins'" in line


def test_a_missing_dataset_says_what_makes_it(tmp_path: Path) -> None:
    line = line_of(run_script(train, f"dataset={tmp_path / 'none'}"))
    assert f"no dataset at {tmp_path / 'none'}: run `python synthesize.py" in line


def test_a_dataset_of_another_encoder_is_refused_with_both_names(tmp_path: Path) -> None:
    caption = Caption(id="a", text="a", domain="open", generator="hand", prompt_version="1")
    with DatasetWriter(tmp_path) as writer:
        captions = writer.captions({})
        captions.write(0, [caption])
        captions.complete(1)
        vectors = writer.embeddings("clip-of-another-house", {})
        vectors.write(0, Embeddings(ids=["a"], vectors=np.eye(1, 192, dtype=np.float32)))
        vectors.complete(1)
    line = line_of(run_script(train, f"dataset={tmp_path}"))
    assert "were made by the encoder clip-of-another-house, and the encoder chosen is scenes-" in line


def test_captions_of_another_world_are_not_made_into_scenes(tmp_path: Path) -> None:
    seeds = tmp_path / "seeds.jsonl"
    seeds.write_text('{"text": "a cat on a red square"}\n')
    line = line_of(run_script(synthesize, f"dataset={tmp_path / 'data'}", "seeds=files", f"seeds.path={seeds}"))
    assert "no answer of scenes-grammar can be used for captions; 1 times: request turned down" in line


@pytest.mark.parametrize("part", ["captions", "instructions", "embeddings"])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing"])
def test_a_damaged_shard_is_named(small_dataset: Path, tmp_path: Path, part: str, damage: str) -> None:
    dataset = Path(shutil.copytree(small_dataset, tmp_path / "dataset"))
    shard = min((dataset / part).glob(f"{part}-*"))
    content = bytearray(shard.read_bytes())
    match damage:
        case "truncated":
            shard.write_bytes(content[:-1])
        case "flipped":
            content[len(content) // 2] ^= 1
            shard.write_bytes(content)
        case _:
            shard.unlink()
    assert str(shard) in line_of(run_script(train, f"dataset={dataset}", f"run={tmp_path / 'run'}"))


def test_a_vector_with_a_nan_is_named_by_caption_and_row(small_dataset: Path, tmp_path: Path) -> None:
    dataset = Path(shutil.copytree(small_dataset, tmp_path / "dataset"))
    shard = dataset / "embeddings" / "embeddings-00001.arrow"
    with pa.ipc.open_stream(shard.read_bytes()) as stream:
        table = stream.read_all()
    vectors = np.stack(table["embedding"].to_numpy(zero_copy_only=False)).astype(np.float16)
    vectors[7, 3] = np.nan
    column = pa.FixedSizeListArray.from_arrays(vectors.ravel(), vectors.shape[1])
    with pa.ipc.new_stream(shard, table.schema) as stream:
        stream.write_table(table.set_column(1, table.schema.field(1), column.cast(table.schema.field(1).type)))
    manifest = Manifest.load(dataset)
    manifest.parts[Part.EMBEDDINGS].shards[1].stamp = Stamp.of(shard)
    manifest.save(dataset)

    row = manifest.parts[Part.EMBEDDINGS].shards[0].rows + 7
    line = line_of(run_script(train, f"dataset={dataset}", f"run={tmp_path / 'run'}", *BRIEF))
    assert f"row {row} " in line
    assert table["id"][7].as_py() in line


def hold(folder: Path, held: Event, done: Event) -> None:
    """Hold the folder's lock, as a running command does."""
    lock = lock_folder(folder, "name")
    held.set()
    done.wait(60)
    lock.release()


def test_a_second_writer_is_refused(small_dataset: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    held, done = context.Event(), context.Event()
    holder = context.Process(target=hold, args=(tmp_path, held, done))
    holder.start()
    try:
        assert held.wait(60)
        line = line_of(run_script(synthesize, f"dataset={tmp_path}", *SMALL))
        assert f"another process is writing to {tmp_path}. Wait for it, or choose another dataset=." in line
        line = line_of(run_script(train, f"dataset={small_dataset}", f"run={tmp_path}"))
        assert f"another process is writing to {tmp_path}. Wait for it, or choose another name=." in line
    finally:
        done.set()
        holder.join(60)


@pytest.mark.parametrize("made", [False, True])
def test_a_run_without_a_model_says_what_makes_it(tmp_path: Path, made: bool) -> None:
    run = tmp_path / "run"
    if made:
        run.mkdir()
    line = line_of(run_script(evaluate, f"run={run}"))
    assert str(run) in line
    assert "run python train.py first" in line


def test_a_name_is_not_reused_for_other_settings(small_dataset: Path, small_run: Path) -> None:
    line = line_of(run_script(train, f"dataset={small_dataset}", f"run={small_run}", "align.batch=16"))
    assert "settings.batch" in line
    assert "another name=" in line


def test_captions_of_other_settings_do_not_mix(small_dataset: Path) -> None:
    line = line_of(run_script(synthesize, f"dataset={small_dataset}", *SMALL, "seeds.seed=5"))
    assert "seeds" in line
    assert "another dataset=" in line


def test_an_interruption_is_one_line() -> None:
    def train(config: Config) -> None:
        raise KeyboardInterrupt

    finished = run_script(train)
    assert finished.code == 130
    assert finished.err == "interrupted: run the same command again to go on from here.\n"


def test_the_help_is_short_of_nothing() -> None:
    for script in (synthesize, train, evaluate):
        finished = run_script(script, "--help")
        assert finished.code == 0
        for choice in ("transfer=mean_shift", "tune=full", "task=scenes", "dataset: data/scenes"):
            assert choice in finished.out
