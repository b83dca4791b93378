"""Shifted test sets: a mean of their own undoes a constant step, one of other pictures does not."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from evaluate import evaluate
from tests.conftest import run_script
from unicorn.errors import UserError
from unicorn.evaluation.pictures import encode_pairs
from unicorn.evaluation.shifted_test import ShiftedTestSettings
from unicorn.evaluation.style import Style, restyled
from unicorn.evaluation.task import Findings, TowerStudy
from unicorn.pictures import Picture


class Colours:
    """Flat pictures of random colours, told by their captions; half of them by day."""

    def __init__(self, count: int = 120, domains: tuple[str, ...] = ("day", "day", "night", "night")) -> None:
        self.colours = np.random.default_rng(0).integers(60, 200, (count, 3))
        self.domains = domains

    def pictures(self) -> Iterator[Picture]:
        for row, (red, green, blue) in enumerate(self.colours.tolist()):
            image = Image.new("RGB", (8, 8), (red, green, blue))
            domain = self.domains[row % len(self.domains)]
            yield Picture(id=str(row), image=image, caption=f"{red} {green} {blue}", domain=domain)


def vectors(colours: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 4"]:
    """In logarithms a gain of the light is a step."""
    wide = np.concatenate([np.log(colours / 255) / 10, np.ones((len(colours), 1))], axis=1)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


class LogTower:
    def encode(self, images: Sequence[Image.Image]) -> Float[Tensor, "n d"]:
        return torch.from_numpy(vectors(np.array([np.asarray(image, float)[4, 4] for image in images]))).float()


class NumberTower:
    context, cut = 100, 0

    def encode(self, texts: Sequence[str]) -> Float[Tensor, "n d"]:
        return torch.from_numpy(vectors(np.array([text.split() for text in texts], float))).float()


def study(pictures: Colours, **settings: object) -> Findings:
    task = ShiftedTestSettings(**settings).build()  # pyright: ignore[reportArgumentType]
    assert isinstance(task, TowerStudy)
    pairs = encode_pairs(pictures.pictures(), LogTower(), NumberTower())
    return task.study("colours", pairs, pictures, LogTower())


@pytest.fixture(scope="module")
def found() -> Findings:
    return study(Colours())


def test_cosines_are_those_of_the_definition(found: Findings) -> None:
    colours = Colours().colours
    plain = vectors(colours)
    dark = vectors(np.round(colours[1::2] * 0.5))

    def mean_cosine(image: np.ndarray, mean: np.ndarray) -> float:
        text, image = plain[1::2] - plain[::2].mean(axis=0), image - mean
        return float((np.vecdot(text, image) / np.linalg.norm(text, axis=1) / np.linalg.norm(image, axis=1)).mean())

    estimate, estimates = plain[::2].mean(axis=0), []
    for vector in dark:
        estimate = 0.99 * estimate + 0.01 * vector
        estimates.append(estimate)
    exact = {
        "none": mean_cosine(dark, np.zeros(4)),
        "calibration": mean_cosine(dark, plain[::2].mean(axis=0)),
        "test_set": mean_cosine(dark, dark.mean(axis=0)),
        "running": mean_cosine(dark, np.array(estimates)),
    }
    for name, value in exact.items():
        assert found.metrics[f"paired_cosine/dark/{name}"] == pytest.approx(value, abs=1e-3)
    assert exact["test_set"] > exact["calibration"] + 0.2


def test_a_mean_of_the_test_set_undoes_a_step(found: Findings) -> None:
    for shift in ("tint", "dark"):
        assert found.metrics[f"recall_at_1/{shift}/test_set"] > found.metrics[f"recall_at_1/{shift}/calibration"]
    assert found.metrics["recall_at_1/none/calibration"] == 1


def test_halfway_is_where_the_estimate_comes_nearer_to_the_new_mean() -> None:
    slow, fast = (study(Colours(), forgetting=rate).metrics["pictures_to_halfway/dark"] for rate in (0.05, 0.2))
    assert 10 <= slow <= 18  # ln 2 / 0.05 = 13.9
    assert fast < slow


def test_what_the_estimate_does_not_reach_is_said() -> None:
    findings = study(Colours(), forgetting=0.001)
    assert "pictures_to_halfway/dark" not in findings.metrics
    assert "halfway after dark, which the running estimate does not reach" in findings.sections[0].text


def test_other_content_is_a_part_of_the_test_set(found: Findings) -> None:
    assert "content: day alone, 30 pictures" in found.sections[0].text
    whole = study(Colours(domains=("open",)))
    assert "the shift of content, as all pictures are of the domains that it keeps" in whole.sections[0].text
    assert not any("/content" in key for key in whole.metrics)
    one = study(Colours(count=8, domains=("day", "day", *["night"] * 6)))
    assert "the shift of content, as one picture is of the domains that it keeps" in one.sections[0].text
    assert not any("/content" in key for key in one.metrics)


def test_blur_is_of_the_picture_s_own_size() -> None:
    for side in (50, 200):
        edge = Image.new("L", (side, side))
        edge.paste(255, (side // 2, 0, side, side))
        row = np.asarray(restyled(edge, Style.blur))[side // 2, :, 0].astype(float)
        assert np.abs(np.diff(row)).max() < 255 / 2
        assert (row[0], row[-1]) == (0, 255)


def test_mistakes_are_told() -> None:
    for rate in (0.0, 1.0):
        with pytest.raises(
            UserError, match=rf"shifted_test\.forgetting={rate} is no weight of a picture: it lies above 0 and below 1"
        ):
            ShiftedTestSettings(forgetting=rate)
    with pytest.raises(UserError, match=r"shifted_test\.content=dusk: no picture under test is of it\. There are day"):
        study(Colours(), content=["dusk"])
    with pytest.raises(UserError, match="shifted_test needs four pictures at least: two that calibrate"):
        study(Colours(count=3))


def test_both_run_on_the_embedded_world_without_a_run(tmp_path: Path) -> None:
    finished = run_script(
        *(evaluate, "run=null", "task=[domain_gap,shifted_test]", "encoder=scenes", f"out={tmp_path}"),
        *("pictures.count=60", "domain_gap.least=5"),
    )
    assert finished.code == 0, finished.err
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert {"gap_cosine/mean", "paired_cosine/blur/test_set", "recall_at_1/content/domain"} <= metrics.keys()
    assert (tmp_path / "shifted_test" / "figures" / "recall_at_1.png").is_file()
