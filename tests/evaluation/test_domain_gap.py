"""The gap by domain, against clouds whose gaps are known and against brute force."""

import numpy as np
import pytest
from jaxtyping import Float

from unicorn.errors import UserError
from unicorn.evaluation.domain_gap import DomainGapSettings
from unicorn.evaluation.retrieval import found_first
from unicorn.evaluation.task import Analysis, Findings, Pairs
from unicorn.transfer.mean_shift import MeanShiftSettings


def unit(vectors: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def world(steps: dict[str, int], count: int = 300, noise: float = 0.1) -> Pairs:
    """Pairs whose pictures lie along a direction of their domain's own from their captions; domains lie apart."""
    rng = np.random.default_rng(0)
    domains = [list(steps)[row % len(steps)] for row in range(count)]
    places = dict(zip(steps, rng.normal(size=(len(steps), 12)), strict=True))
    text = unit(rng.normal(size=(count, 12)) + [places[name] for name in domains])
    step = 3 * np.eye(12)[[steps[name] for name in domains]]
    return Pairs(text=text, image=unit(text + step + noise * rng.normal(size=(count, 12))), domains=domains)


def study(pairs: Pairs, least: int = 20) -> Findings:
    analysis = DomainGapSettings(least=least).build()
    assert isinstance(analysis, Analysis)
    return analysis.run(pairs, MeanShiftSettings())


def test_gaps_and_their_cosines_are_those_of_the_definition() -> None:
    pairs = world({"day": 0, "night": 0, "sketch": 1})
    metrics, names = study(pairs).metrics, np.array(pairs.domains)
    gap = {
        name: pairs.image[names == name].astype(float).mean(axis=0) - pairs.text[names == name].mean(axis=0)
        for name in ("day", "night", "sketch")
    }
    norms = {name: float(np.linalg.norm(vector)) for name, vector in gap.items()}
    couples = [("day", "night"), ("day", "sketch"), ("night", "sketch")]
    exact = [float(gap[a] @ gap[b]) / norms[a] / norms[b] for a, b in couples]
    for (a, b), value in zip(couples, exact, strict=True):
        assert metrics[f"gap_cosine/{a}+{b}"] == pytest.approx(value, abs=1e-5)
    assert metrics["gap_cosine/mean"] == pytest.approx(np.mean(exact), abs=1e-5)
    assert metrics["gap_cosine/least"] == pytest.approx(min(exact), abs=1e-5)
    assert metrics["gap_norm/sketch"] == pytest.approx(norms["sketch"], abs=1e-5)
    assert metrics["gap_cosine/least"] < 0.9 < 0.95 < metrics["gap_cosine_by_chance/least"]


def test_a_shift_by_domain_gains_where_gaps_differ() -> None:
    apart = study(world({"day": 0, "night": 1})).metrics
    for name in ("day", "night", "all"):
        before, after = (apart[f"paired_cosine/{kind}/{name}"] for kind in ("mean_shift", "domain_mean_shift"))
        assert apart[f"gain_paired_cosine/{name}"] == pytest.approx(after - before)
        assert 0 < apart[f"gain_paired_cosine_low/{name}"] < after - before < apart[f"gain_paired_cosine_high/{name}"]
        assert apart[f"recall_at_1_within/mean_shift/{name}"] >= apart[f"recall_at_1_over/mean_shift/{name}"]


def test_both_shifts_are_those_of_the_definition() -> None:
    pairs = world({"day": 0, "night": 1})
    metrics, names = study(pairs).metrics, np.array(pairs.domains)
    text, image = pairs.text.astype(float), pairs.image.astype(float)
    base = np.vecdot(unit(text - text.mean(axis=0)), unit(image - image.mean(axis=0)))
    means = np.array([image[names == name].mean(axis=0) for name in ("day", "night")])
    nearest = means[np.linalg.norm(image[:, None] - means, axis=2).argmin(axis=1)]
    own = np.array([text[names == name].mean(axis=0) for name in names])
    moved = np.vecdot(unit(text - own), unit(image - nearest))
    for name in ("day", "night"):
        assert metrics[f"paired_cosine/mean_shift/{name}"] == pytest.approx(base[names == name].mean(), abs=1e-4)
        assert metrics[f"paired_cosine/domain_mean_shift/{name}"] == pytest.approx(
            moved[names == name].mean(), abs=1e-4
        )


def test_small_domains_are_left_out_and_named() -> None:
    pairs = world({"day": 0, "night": 1})
    domains = ["rare" if row < 5 else name for row, name in enumerate(pairs.domains)]
    findings = study(Pairs(text=pairs.text, image=pairs.image, domains=domains))
    assert "Left out, having fewer than 20 pairs: rare (5)." in findings.sections[0].text
    assert "gap_norm/rare" not in findings.metrics
    assert {figure.name for figure in findings.sections[0].figures} == {
        *("domain_gaps", "gain_paired_cosine", "gain_recall_at_1_within", "gain_recall_at_1_over")
    }


def test_one_domain_is_refused() -> None:
    pairs = world({"day": 0})
    with pytest.raises(UserError, match=r"domain_gap compares domains, and fewer than two have 20 pairs: day \(300\)"):
        study(pairs)


def test_of_equal_rows_each_is_found_by_chance() -> None:
    gallery = np.eye(3, dtype=np.float32)[[0, 0, 1]]
    queries = np.eye(3, dtype=np.float32)[[0, 1, 0]]
    np.testing.assert_allclose(found_first(queries, gallery, np.array([1, 2, 2])), [0.5, 1, 0])
