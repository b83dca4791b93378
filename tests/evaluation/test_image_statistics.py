"""Statistics of pictures, by the command: made without a run, and taken by what needs them."""

import json
from pathlib import Path

import numpy as np
import pytest

from evaluate import evaluate
from tests.conftest import run_script
from train import train
from unicorn.dataset import UnicornDataset
from unicorn.errors import UserError
from unicorn.evaluation.image_statistics import ImageStatisticsSettings
from unicorn.scenes.benchmark import SceneBenchmarkSettings
from unicorn.scenes.encoder import SceneEncoderSettings
from unicorn.transfer import Statistics
from unicorn.transfer.realign import ReAlignSettings

COUNT = 150


def test_pictures_without_a_run_have_the_statistics_of_their_vectors(tmp_path: Path, small_dataset: Path) -> None:
    finished = run_script(
        evaluate,
        "run=null",
        "encoder=scenes",
        "task=statistics",
        f"pictures.count={COUNT}",
        f"out={tmp_path}",
        "statistics.covariance=true",
    )
    assert finished.code == 0, finished.err
    statistics = Statistics.load(tmp_path / "statistics" / "image_statistics")

    pictures = list(SceneBenchmarkSettings(count=COUNT).build().pictures())
    tower = SceneEncoderSettings().image_tower()
    vectors = np.concatenate([tower.encode([picture.image]).numpy() for picture in pictures]).astype(np.float64)
    mean = vectors.mean(axis=0)
    assert (statistics.count, statistics.normalised) == (COUNT, True)
    np.testing.assert_allclose(statistics.mean, mean, atol=1e-6)
    assert statistics.trace == pytest.approx(((vectors - mean) ** 2).sum(axis=1).mean(), rel=1e-4)
    assert statistics.covariance is not None
    np.testing.assert_allclose(statistics.covariance, np.cov(vectors.T, bias=True), atol=1e-7)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert f"{metrics['trace']:.3f}" in finished.out
    assert metrics["mean_norm"] == pytest.approx(np.linalg.norm(mean), rel=1e-5)
    domains = np.array([picture.domain for picture in pictures])
    assert set(statistics.domain_count) == set(domains)
    for domain in statistics.domain_count:
        of_domain = vectors[domains == domain].mean(axis=0)
        np.testing.assert_allclose(statistics.domain_mean[domain], of_domain, atol=1e-6)
        assert metrics[f"gap/{domain}"] == pytest.approx(np.linalg.norm(of_domain - mean), rel=1e-4)

    dataset = UnicornDataset.open(small_dataset)
    settings = ReAlignSettings(image_statistics=str(tmp_path / "statistics" / "image_statistics"))
    assert settings.fit(dataset.statistics, dataset.chunks()).space == dataset.space


def test_no_picture_has_no_statistics() -> None:
    with pytest.raises(UserError, match="there are no vectors of colours"):
        ImageStatisticsSettings().build().observe("colours", [])


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["task=statistics"], "error: no run is asked, in which this would be written. Set out= to a folder."),
        (["task=scenes", "out=nowhere"], "error: task=scenes asks a model, and run=null names none. Name its run=."),
    ],
)
def test_what_needs_a_run_or_a_folder_says_so(overrides: list[str], line: str) -> None:
    finished = run_script(evaluate, "run=null", *overrides)
    assert (finished.code, finished.err.strip()) == (2, line)


def test_a_run_is_trained_into_a_folder(small_dataset: Path) -> None:
    finished = run_script(train, "run=null", f"dataset={small_dataset}")
    assert finished.code == 2
    assert (
        finished.err.strip() == "error: run=null names no run. Set run= to its folder, or name= to what it is called."
    )
