"""The three commands, chained: text in, answers about images out; run again, the same."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

from evaluate import evaluate
from synthesize import synthesize
from tests.conftest import BRIEF, SMALL, run_script
from train import train
from unicorn.config import load_config
from unicorn.scenes.benchmark import SceneBenchmarkSettings
from unicorn.scenes.encoder import SceneEncoderSettings

ROOT = Path(__file__).parent.parent


def checksums(folder: Path) -> dict[str, str]:
    """Every file of a folder but its lock, by its path and content."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def test_an_evaluation_leaves_scores_predictions_and_a_report(small_evaluation: Path) -> None:
    metrics = json.loads((small_evaluation / "metrics.json").read_text())
    for key in ("accuracy", "accuracy/colour", "accuracy_low", "accuracy_high", "baseline/blind", "baseline/shuffled"):
        assert 0 <= metrics[key] <= 1
    predictions = pq.read_table(small_evaluation / "scenes" / "predictions.parquet")
    assert predictions.num_rows == metrics["questions"]
    right = [row["correct"] for row in predictions.to_pylist() if row["type"] == "colour"]
    assert metrics["accuracy/colour"] == pytest.approx(sum(right) / len(right))
    assert (small_evaluation / "scenes" / "image_statistics" / "statistics.safetensors").is_file()
    page = (small_evaluation / "report.html").read_text()
    assert "<img" in page
    assert not re.search(r"""(src|href)=["']?https?:""", page)


def test_a_tower_is_loaded_once_for_all_tasks(small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = list[object]()
    load = SceneEncoderSettings.image_tower
    monkeypatch.setattr(SceneEncoderSettings, "image_tower", lambda self: loaded.append(self) or load(self))
    tasks = ("task=[statistics,geometry]", "geometry.drawn=20", "pictures.count=30")
    finished = run_script(evaluate, f"run={small_run}", *tasks, f"out={tmp_path}")
    assert finished.code == 0, finished.err
    assert len(loaded) == 1


def test_an_analysis_is_recorded_with_the_pictures_it_is_of(small_run: Path, tmp_path: Path) -> None:
    finished = run_script(
        evaluate, f"run={small_run}", "task=geometry", "geometry.drawn=20", "pictures.count=30", f"out={tmp_path}"
    )
    assert finished.code == 0, finished.err
    assert json.loads((tmp_path / "metrics.json").read_text())["images"] == 30
    assert load_config(tmp_path / "config.yaml").pictures == SceneBenchmarkSettings(count=30)


def test_the_captions_and_instructions_are_datasets_of_the_hub(small_dataset: Path) -> None:
    captions = load_dataset(str(small_dataset), "captions", split="train")
    instructions = load_dataset(str(small_dataset), "instructions", split="train")
    assert 200 < len(captions) <= 240
    assert set(instructions["caption_id"]) <= set(captions["id"])


@pytest.mark.parametrize("stages", ["null", "[align]", "[tune]"])
def test_run_again_nothing_changes(small_dataset: Path, small_run: Path, stages: str) -> None:
    dataset, run = checksums(small_dataset), checksums(small_run / "model")
    metrics = (small_run / "metrics.json").read_bytes()
    assert run_script(synthesize, f"dataset={small_dataset}", *SMALL).code == 0
    assert run_script(train, f"dataset={small_dataset}", f"run={small_run}", f"stages={stages}", *BRIEF).code == 0
    assert (small_run / "metrics.json").read_bytes() == metrics
    assert checksums(small_dataset) == dataset
    assert checksums(small_run / "model") == run


NO_IMAGE = """
import sys
import traceback
from PIL import Image

def refuse(*_, **__):
    raise AssertionError("an image was opened")

def for_charts_alone(function):
    def asked(*given, **named):
        if not any("matplotlib" in frame.filename for frame in traceback.extract_stack()):
            refuse()
        return function(*given, **named)
    return asked

Image.open = refuse
for name in ("new", "frombytes", "fromarray"):
    setattr(Image, name, for_charts_alone(getattr(Image, name)))
from {script} import {script}
from unicorn import command
sys.argv = [{script!r}, *{overrides!r}]
command.run({script})
drawn = [name for name in sys.modules if "render" in name and name.startswith("unicorn")]
assert not drawn, drawn
"""


@pytest.mark.parametrize("script", ["synthesize", "train"])
def test_no_image_is_opened_or_drawn(script: str, small_dataset: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset" if script == "synthesize" else small_dataset
    overrides = [f"dataset={dataset}", f"run={tmp_path / 'run'}", *SMALL, *BRIEF]
    code = NO_IMAGE.format(script=script, overrides=overrides)
    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
