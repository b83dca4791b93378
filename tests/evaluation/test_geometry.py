"""The geometry of the gap, against brute force."""

import numpy as np
import pytest
from jaxtyping import Float

from tests.evaluation.stand_ins import CentringTransfer, ColourBenchmark, ColourTower, WordTower
from unicorn.errors import UserError
from unicorn.evaluation.geometry import GeometrySettings, gap_norm, paired_cosine, separability
from unicorn.evaluation.pictures import encode_pairs
from unicorn.evaluation.task import Analysis, Pairs, Picture


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    """Forty pairs whose pictures lie one constant step from their captions."""
    rng = np.random.default_rng(0)
    text = _unit(rng.normal(size=(40, 6)))
    image = _unit(text + np.array([3, 0, 0, 0, 0, 0]) + 0.1 * rng.normal(size=(40, 6)))
    return Pairs(text=text, image=image, domains=["open"] * 40)


def _unit(vectors: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_gap_and_cosine_agree_with_loops(pairs: Pairs) -> None:
    gap = [float(np.mean(pairs.image[:, column]) - np.mean(pairs.text[:, column])) for column in range(6)]
    assert gap_norm(pairs.text, pairs.image) == pytest.approx(sum(step**2 for step in gap) ** 0.5, rel=1e-5)
    cosines = [float(u @ v) for u, v in zip(pairs.text, pairs.image, strict=True)]
    assert paired_cosine(pairs.text, pairs.image) == pytest.approx(sum(cosines) / 40, rel=1e-5)
    assert paired_cosine(pairs.text * 3, pairs.image) == pytest.approx(sum(cosines) / 40, rel=1e-5)
    assert paired_cosine(np.zeros((2, 6)), pairs.image[:2]) == 0


def test_a_gap_can_be_told_and_the_same_cloud_cannot() -> None:
    cloud = np.random.default_rng(1).normal(size=(2000, 4))
    assert separability(cloud, cloud + np.array([6, 0, 0, 0]), seed=0) > 0.99
    assert 0.45 < separability(cloud[:1000], cloud[1000:], seed=0) < 0.55
    few = np.random.default_rng(2).normal(size=(60, 64))  # so few that any half can be told apart by heart
    assert separability(few[:30], few[30:], seed=0) < 0.75


def test_centring_closes_the_gap(pairs: Pairs) -> None:
    analysis = GeometrySettings(drawn=20).build()
    assert isinstance(analysis, Analysis)
    findings = analysis.run(pairs, {"mean_shift": CentringTransfer()})
    metrics = findings.metrics
    assert metrics["gap_norm"] == metrics["gap_norm/none"] == gap_norm(pairs.text, pairs.image)
    assert metrics["gap_norm"] > 0.7
    assert metrics["gap_norm/mean_shift"] == pytest.approx(0, abs=1e-6)
    assert metrics["paired_cosine/mean_shift"] > metrics["paired_cosine/none"]
    assert metrics["separability/none"] > metrics["separability/mean_shift"]
    assert metrics["pairs"] == 40
    assert [figure.name for figure in findings.sections[0].figures] == ["tsne_mean_shift"]


def test_pairs_come_from_pictures_and_their_captions() -> None:
    pairs = encode_pairs(ColourBenchmark().pictures(), ColourTower(), WordTower())
    assert pairs.text.shape == pairs.image.shape == (12, 3)
    assert (pairs.text.argmax(axis=1) == pairs.image.argmax(axis=1)).all()


def test_a_picture_without_a_caption_is_named() -> None:
    pictures = [Picture(id="bare-7", image=next(iter(ColourBenchmark().pictures())).image)]
    with pytest.raises(UserError, match="picture bare-7 has no caption: an analysis of pairs needs one"):
        encode_pairs(pictures, ColourTower(), WordTower())
