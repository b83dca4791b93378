"""Opening a run, and what a user is told where there is none."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.evaluation.tiny_model import tiny_model
from unicorn.errors import UserError
from unicorn.evaluation.run import Run
from unicorn.hub.processor import UnicornProcessor
from unicorn.hub.saved import save_model
from unicorn.stamp import stamps_of, write_sealed
from unicorn.transfer.mean_shift import MeanShiftSettings
from unicorn.transfer.statistics import Statistics


class OtherEncoder:
    """Another space."""

    space = "elsewhere"
    dimension = 3

    def text_tower(self) -> None:
        raise AssertionError

    def image_tower(self) -> None:
        raise AssertionError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished run of a tiny model under mean shift."""
    model, tokenizer = tiny_model()
    save_model(tmp_path / "model", model, UnicornProcessor(tokenizer, model.config.visual_tokens))
    vectors = np.eye(3, dtype=np.float32)
    statistics = Statistics.of("colours", vectors)
    MeanShiftSettings().fit(statistics, [vectors]).save(tmp_path / "transfer")
    return tmp_path


def test_a_run_opens_as_it_was_saved(folder: Path) -> None:
    run = Run.open(folder)
    model, tokenizer = tiny_model()
    for name, weights in model.state_dict().items():
        assert torch.equal(weights, run.model.state_dict()[name])
    assert run.tokenizer.get_vocab() == tokenizer.get_vocab()
    assert run.tokenizer.image_token == "<image>"
    assert not run.model.training
    assert run.transfer.space == "colours"


def test_no_run(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    with pytest.raises(UserError, match=re.escape(f"no run at {missing}: run python train.py first")):
        Run.open(missing)


def test_of_a_sweep_the_runs_are_named(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    sweep = tmp_path_factory.mktemp("sweep")
    for name in ("b", "a"):
        shutil.copytree(folder, sweep / name)
    (sweep / ".cache").mkdir()
    with pytest.raises(
        UserError, match=rf"{sweep} holds runs of a sweep\. Name one of them: run={sweep}/a, run={sweep}/b"
    ):
        Run.open(sweep)


@pytest.mark.parametrize(("part", "what"), [("model", "model"), ("transfer", "transfer")])
def test_an_unfinished_run_names_what_is_missing(folder: Path, part: str, what: str) -> None:
    (folder / part).rename(folder / "elsewhere")
    with pytest.raises(UserError, match=re.escape(f"no {what} at {folder / part}") + ".*run python train.py first"):
        Run.open(folder)


def test_truncated_weights_are_named(folder: Path) -> None:
    weights = folder / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(UserError, match=re.escape(f"{weights} has 100 bytes where ") + r"\d+ were written"):
        Run.open(folder)


def test_a_model_without_its_checksums_is_refused(folder: Path) -> None:
    (folder / "model" / "checksums.json").unlink()
    with pytest.raises(UserError, match=r"model/checksums\.json is missing"):
        Run.open(folder)


def test_a_model_that_transformers_cannot_read_is_one_line(folder: Path) -> None:
    (folder / "model" / "config.json").write_text("no JSON")
    write_sealed(folder / "model" / "checksums.json", {"files": stamps_of(folder / "model", ["config.json"])})
    with pytest.raises(UserError, match=r"the model in .* cannot be read: .*\. Run python train\.py again"):
        Run.open(folder)


def test_another_encoder_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="was trained in colours, and this encoder's space is elsewhere"):
        Run.open(folder).require_encoder(OtherEncoder())
