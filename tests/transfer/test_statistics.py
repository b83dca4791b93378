"""Statistics against float64 loops, under any split, on the disk, and across encoders."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unicorn.errors import UserError
from unicorn.transfer import Statistics

DOMAINS = ("open", "day", "night")


def unit_vectors(count: int, dimension: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, dimension)) + 0.5
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_moments_are_those_of_float64_loops():
    vectors = unit_vectors(60, 7)
    domains = [DOMAINS[row % 2] for row in range(60)]
    edges = [0, 17, 20, 41, 60]
    chunks = [(vectors[start:stop], domains[start:stop]) for start, stop in pairwise(edges)]
    statistics = Statistics.from_chunks("space", chunks)

    mean = [sum(float(vector[axis]) for vector in vectors) / 60 for axis in range(7)]
    trace = sum(sum((float(x) - m) ** 2 for x, m in zip(v, mean, strict=True)) for v in vectors) / 60
    assert statistics.count == 60
    assert statistics.normalised
    np.testing.assert_allclose(statistics.mean, mean, atol=1e-7)
    assert statistics.trace == pytest.approx(trace, rel=1e-6)
    assert statistics.domain_count == {"day": 30, "open": 30}
    np.testing.assert_allclose(statistics.domain_mean["day"], vectors[1::2].mean(axis=0), atol=1e-7)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 60),
    cuts=st.lists(st.integers(0, 60)),
    offset=st.sampled_from([0.0, 1.0, 100.0]),
    backwards=st.booleans(),
)
def test_any_split_merges_to_the_whole(seed: int, count: int, cuts: list[int], offset: float, backwards: bool):
    generator = np.random.default_rng(seed)
    vectors = (generator.standard_normal((count, 5)) + offset).astype(np.float32)
    domains = generator.choice(DOMAINS, count).tolist()
    edges = sorted({0, count, *(cut for cut in cuts if cut < count)})
    parts = [Statistics.of("space", vectors[start:stop], domains[start:stop], True) for start, stop in pairwise(edges)]
    if backwards:  # merging from the other end: associativity and order
        merged = parts.pop()
        while parts:
            merged = parts.pop().merge(merged)
    else:
        merged = parts[0]
        for part in parts[1:]:
            merged = merged.merge(part)

    exact = vectors.astype(np.float64)
    assert merged.count == count
    assert merged.normalised == bool((np.abs(np.linalg.norm(exact, axis=1) - 1) < 1e-2).all())
    np.testing.assert_allclose(merged.mean, exact.mean(axis=0), rtol=1e-6, atol=1e-6)
    assert merged.trace == pytest.approx(exact.var(axis=0).sum(), rel=1e-6, abs=1e-12)
    assert merged.covariance is not None
    np.testing.assert_allclose(merged.covariance, np.cov(exact.T, bias=True), rtol=1e-5, atol=1e-7)
    assert np.trace(merged.covariance) == pytest.approx(merged.trace, rel=1e-6, abs=1e-12)
    assert list(merged.domain_count) == sorted(set(domains))
    for domain, mean in merged.domain_mean.items():
        chosen = exact[np.array(domains) == domain]
        assert merged.domain_count[domain] == len(chosen)
        np.testing.assert_allclose(mean, chosen.mean(axis=0), rtol=1e-5, atol=1e-5)


def test_normalisation_is_measured_and_survives_float16():
    vectors = unit_vectors(50, 64)
    assert Statistics.of("space", vectors.astype(np.float16)).normalised
    vectors[3] *= 1.1
    assert not Statistics.of("space", vectors).normalised


@pytest.mark.parametrize("precision", [np.float16, np.float32])
def test_long_chunks_are_whole_and_in_order_whichever_thread_takes_them(precision: type[np.floating]):
    vectors = unit_vectors(9000, 6).astype(precision)
    domains = np.random.default_rng(1).choice(DOMAINS, 9000).tolist()
    edges = [0, 2500, 2501, 6000, *range(6100, 9100, 100)]
    chunks = [(vectors[start:stop], domains[start:stop]) for start, stop in pairwise(edges)]
    statistics = Statistics.from_chunks("space", chunks, covariance=True)
    exact = vectors.astype(np.float64)
    assert statistics.count == 9000
    assert statistics.covariance is not None
    np.testing.assert_allclose(statistics.covariance, np.cov(exact.T, bias=True), atol=1e-7)
    np.testing.assert_allclose(statistics.mean, exact.mean(axis=0), atol=1e-7)
    assert statistics.trace == pytest.approx(exact.var(axis=0).sum(), rel=1e-6)
    for domain in DOMAINS:
        chosen = exact[np.array(domains) == domain]
        np.testing.assert_allclose(statistics.domain_mean[domain], chosen.mean(axis=0), atol=1e-6)
    again = Statistics.from_chunks("space", chunks)
    assert (again.mean.tobytes(), again.trace) == (statistics.mean.tobytes(), statistics.trace)


def test_a_far_row_of_half_precision_that_is_not_finite_is_named_by_its_place_in_the_stream():
    vectors = unit_vectors(3000, 6).astype(np.float16)
    vectors[2600, 5] = np.inf
    with pytest.raises(UserError, match="row 2605 of the vectors of space has"):
        Statistics.from_chunks("space", [(vectors[:5], None), (vectors, None)])


@pytest.mark.parametrize("precision", [np.float16, np.float32])
def test_the_spread_of_vectors_that_hardly_differ_is_exact(precision: type[np.floating]):
    generator = np.random.default_rng(0)
    vectors = (unit_vectors(1, 64) + 1e-3 * generator.standard_normal((5000, 64))).astype(precision)
    domains = generator.choice(DOMAINS, 5000).tolist()
    statistics = Statistics.from_chunks("space", [(vectors[:1500], domains[:1500]), (vectors[1500:], domains[1500:])])
    exact = vectors.astype(np.float64)
    assert statistics.trace == pytest.approx(exact.var(axis=0).sum(), rel=1e-6)
    np.testing.assert_allclose(statistics.mean, exact.mean(axis=0), atol=1e-9)
    for name, mean in statistics.domain_mean.items():
        np.testing.assert_allclose(mean, exact[np.array(domains) == name].mean(axis=0), atol=1e-9)


def test_equal_vectors_have_no_spread_at_all():
    vectors = np.repeat(unit_vectors(1, 1280), 3000, axis=0).astype(np.float32)
    statistics = Statistics.from_chunks("space", [(vectors[:700], None), (vectors[700:], None)], covariance=True)
    assert statistics.trace == 0
    assert statistics.covariance is not None
    assert not statistics.covariance.any()
    np.testing.assert_allclose(statistics.mean, vectors[0], atol=1e-15)


def test_squares_are_summed_in_float64():
    """Of whole numbers about 0, whose squares add up to more than float32 counts to one by one."""
    half = np.random.default_rng(0).integers(-300, 300, (512, 6)).astype(np.float32)
    vectors = np.concatenate([half, -half])
    assert Statistics.of("space", vectors).trace == pytest.approx((half.astype(int) ** 2).sum() / 512, rel=1e-13)


def test_without_the_covariance_of_one_there_is_none_of_both():
    vectors = unit_vectors(20, 6)
    asked, other = Statistics.of("space", vectors, covariance=True), Statistics.of("space", vectors)
    assert asked.merge(other).covariance is None
    assert other.merge(asked).covariance is None


@pytest.mark.parametrize("domains", [None, ["open"] * 20])
@pytest.mark.parametrize("covariance", [False, True])
def test_saved_statistics_come_back_exactly(tmp_path: Path, domains: list[str] | None, covariance: bool):
    statistics = Statistics.of("space", unit_vectors(20, 6), domains, covariance)
    statistics.save(tmp_path / "statistics")
    loaded = Statistics.load(tmp_path / "statistics")
    assert (loaded.space, loaded.normalised, loaded.count) == ("space", True, 20)
    assert loaded.trace == statistics.trace
    assert loaded.mean.tobytes() == statistics.mean.tobytes()
    assert (loaded.covariance is None) == (not covariance)
    np.testing.assert_array_equal(loaded.covariance, statistics.covariance)
    assert loaded.domain_count == statistics.domain_count
    assert {name: mean.tolist() for name, mean in loaded.domain_mean.items()} == {
        name: mean.tolist() for name, mean in statistics.domain_mean.items()
    }


def test_equal_statistics_make_equal_files(tmp_path: Path):
    for name in ("a", "b"):
        Statistics.of("space", unit_vectors(20, 6), ["open", "day"] * 10).save(tmp_path / name)
    for name in ("statistics.safetensors", "statistics.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_vectors_of_two_encoders_or_normalisations_do_not_mix():
    vectors = unit_vectors(10, 4)
    here = Statistics.of("clip/large", vectors)
    with pytest.raises(UserError, match=r"clip/large \(unit norm\) do not mix with those of siglip \(unit norm\)"):
        here.merge(Statistics.of("siglip", vectors))
    with pytest.raises(UserError, match=r"clip/large \(unit norm\).*clip/large \(any norm\)"):
        here.require("clip/large", normalised=False)
    assert not here.merge(Statistics.of("clip/large", 2 * vectors)).normalised


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_vector_that_is_not_finite_is_named_by_its_row(value: float):
    vectors = unit_vectors(10, 4)
    vectors[6, 2] = value
    with pytest.raises(UserError, match="row 6 of the vectors of space has a NaN or an infinity"):
        Statistics.of("space", vectors)


def test_no_vectors_have_no_statistics():
    with pytest.raises(UserError, match="there are no vectors of space to take the mean of"):
        Statistics.from_chunks("space", [])


def test_missing_and_damaged_files_are_named(tmp_path: Path):
    with pytest.raises(UserError, match=f"no statistics at {tmp_path / 'none'}: .* Name a folder of statistics"):
        Statistics.load(tmp_path / "none")
    Statistics.of("space", unit_vectors(10, 4)).save(tmp_path)
    (tmp_path / "statistics.json").write_text('{"space": "space"}')
    with pytest.raises(
        UserError, match=rf"{tmp_path}/statistics\.json is corrupt: what it holds is not what it was sealed with"
    ):
        Statistics.load(tmp_path)
    Statistics.of("space", unit_vectors(10, 4)).save(tmp_path)
    (tmp_path / "statistics.safetensors").write_bytes(b"torn")
    with pytest.raises(UserError, match=rf"{tmp_path}/statistics\.safetensors has 4 bytes"):
        Statistics.load(tmp_path)
