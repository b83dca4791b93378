"""Every transfer against float64 loops written from its formula, and its two sides against each other."""

from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unicorn.errors import UserError
from unicorn.stamp import write_sealed
from unicorn.transfer import NoiseKey, Statistics, Transfer, TransferSettings, load_transfer
from unicorn.transfer.c3 import C3Settings
from unicorn.transfer.centring import CalibrationMean, DomainMeans, RunningMean
from unicorn.transfer.close import CloseSettings
from unicorn.transfer.domain_mean_shift import DomainMeanShiftSettings
from unicorn.transfer.geometry import gaussian
from unicorn.transfer.mean_shift import MeanShiftSettings
from unicorn.transfer.mean_shift_noise import MeanShiftNoiseSettings
from unicorn.transfer.none import NoTransferSettings
from unicorn.transfer.realign import ReAlign, ReAlignSettings
from unicorn.transfer.zero import ZeroSettings

DIMENSION = 12
KEY = NoiseKey(seed=3, epoch=1, rows=np.arange(40))


def cone(seed: int, count: int, spread: float) -> np.ndarray:
    """Unit float32 vectors around a direction, as those of a modality are."""
    generator = np.random.default_rng(seed)
    vectors = generator.standard_normal(DIMENSION) + spread * generator.standard_normal((count, DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


TEXT = cone(seed=1, count=40, spread=0.8)
IMAGES = cone(seed=2, count=30, spread=0.3)
DOMAINS = ["day", "night", "open", "day"] * 10


def norm(x: list[float]) -> list[float]:
    length = sqrt(sum(value * value for value in x))
    return [value / length for value in x]


def mean(rows: np.ndarray) -> list[float]:
    return [sum(float(row[axis]) for row in rows) / len(rows) for axis in range(DIMENSION)]


def trace(rows: np.ndarray) -> float:
    centre = mean(rows)
    return sum(sum((float(x) - c) ** 2 for x, c in zip(row, centre, strict=True)) for row in rows) / len(rows)


def fit(settings: TransferSettings) -> Transfer:
    return settings.fit(Statistics.of("space", TEXT, DOMAINS), [TEXT[:15], TEXT[15:]])


@pytest.fixture
def image_statistics(tmp_path: Path) -> str:
    Statistics.of("space", IMAGES).save(tmp_path / "images")
    return str(tmp_path / "images")


@pytest.fixture(
    params=[
        *("none", "zero", "mean_shift", "mean_shift_unnormalised", "domain_mean_shift"),
        *("c3", "close", "mean_shift_noise", "realign"),
    ]
)
def transfer(request: pytest.FixtureRequest, image_statistics: str) -> Transfer:
    settings: dict[str, TransferSettings] = {
        "none": NoTransferSettings(),
        "zero": ZeroSettings(),
        "mean_shift": MeanShiftSettings(),
        "mean_shift_unnormalised": MeanShiftSettings(normalise=False),
        "domain_mean_shift": DomainMeanShiftSettings(),
        "c3": C3Settings(),
        "close": CloseSettings(),
        "mean_shift_noise": MeanShiftNoiseSettings(),
        "realign": ReAlignSettings(image_statistics=image_statistics),
    }
    return fit(settings[request.param])


def test_none_keeps_both_sides():
    transfer = fit(NoTransferSettings())
    assert transfer.text(TEXT, None, KEY).tobytes() == TEXT.tobytes()
    assert transfer.image_centring().transform(IMAGES).tobytes() == IMAGES.tobytes()


def test_zero_blinds_both_sides():
    transfer = fit(ZeroSettings())
    assert not transfer.text(TEXT, None, KEY).any()
    assert not transfer.image_centring().transform(IMAGES).any()


def test_mean_shift_is_the_formula():
    centre = mean(TEXT)
    expected = [norm([float(x) - c for x, c in zip(u, centre, strict=True)]) for u in TEXT]
    np.testing.assert_allclose(fit(MeanShiftSettings()).text(TEXT, None, KEY), expected, atol=1e-6)


def test_mean_shift_of_the_paper_s_first_version_is_not_normalised():
    centre = mean(TEXT)
    expected = [[float(x) - c for x, c in zip(u, centre, strict=True)] for u in TEXT]
    np.testing.assert_allclose(fit(MeanShiftSettings(normalise=False)).text(TEXT, None, KEY), expected, atol=1e-6)


def test_c3_is_the_formula():
    centre, noise = mean(TEXT), gaussian(KEY, DIMENSION)
    expected = [
        norm([float(x) - c + sqrt(0.016) * float(e) for x, c, e in zip(u, centre, eps, strict=True)])
        for u, eps in zip(TEXT, noise, strict=True)
    ]
    np.testing.assert_allclose(fit(C3Settings()).text(TEXT, None, KEY), expected, atol=1e-6)


def test_c3_without_noise_is_mean_shift():
    still, shift = fit(C3Settings(variance=0.0)), fit(MeanShiftSettings())
    assert still.text(TEXT, None, KEY).tobytes() == shift.text(TEXT, None, KEY).tobytes()


def test_close_is_the_formula():
    noise = gaussian(KEY, DIMENSION)
    expected = [
        norm([float(x) + 0.08 * float(e) for x, e in zip(u, eps, strict=True)])
        for u, eps in zip(TEXT, noise, strict=True)
    ]
    np.testing.assert_allclose(fit(CloseSettings()).text(TEXT, None, KEY), expected, atol=1e-6)
    assert fit(CloseSettings()).image_centring().transform(IMAGES).tobytes() == IMAGES.tobytes()


def test_mean_shift_noise_is_the_formula():
    centre, noise = mean(TEXT), gaussian(KEY, DIMENSION)
    shifted = [norm([float(x) - c for x, c in zip(u, centre, strict=True)]) for u in TEXT]
    expected = [
        norm([x + 0.04 * float(e) for x, e in zip(row, eps, strict=True)])
        for row, eps in zip(shifted, noise, strict=True)
    ]
    np.testing.assert_allclose(fit(MeanShiftNoiseSettings()).text(TEXT, None, KEY), expected, atol=1e-6)


def test_domain_mean_shift_is_mean_shift_within_each_domain():
    shifted = fit(DomainMeanShiftSettings()).text(TEXT, DOMAINS, KEY)
    for domain in set(DOMAINS):
        rows = np.array([name == domain for name in DOMAINS])
        alone = MeanShiftSettings().fit(Statistics.of("space", TEXT[rows]), [])
        np.testing.assert_allclose(shifted[rows], alone.text(TEXT[rows], None, KEY), atol=1e-6)


@pytest.mark.parametrize("domains", [["day", "dusk"], None])
def test_a_domain_that_training_had_not_is_named(domains: list[str] | None):
    with pytest.raises(UserError, match=r"domain_mean_shift has no mean of the domain '(dusk)?': no training caption"):
        fit(DomainMeanShiftSettings()).text(TEXT[:2], domains, KEY)


def test_realign_is_the_formula(image_statistics: str):
    text_mean, image_mean = mean(TEXT), mean(IMAGES)
    scale = sqrt(trace(IMAGES) / trace(TEXT))
    anchored = [
        norm([v + scale * (float(x) - t) for x, t, v in zip(u, text_mean, image_mean, strict=True)]) for u in TEXT
    ]
    centre = mean(np.array(anchored))
    expected = [norm([x - c + v for x, c, v in zip(row, centre, image_mean, strict=True)]) for row in anchored]
    transfer = fit(ReAlignSettings(image_statistics=image_statistics))
    np.testing.assert_allclose(transfer.text(TEXT, None, KEY), expected, atol=1e-6)


def test_realign_brings_text_to_the_mean_and_trace_of_images(image_statistics: str):
    text = fit(ReAlignSettings(image_statistics=image_statistics)).text(TEXT, None, KEY)
    before = np.linalg.norm(TEXT.mean(axis=0) - IMAGES.mean(axis=0))
    assert np.linalg.norm(text.mean(axis=0) - IMAGES.mean(axis=0)) < 0.02 * before
    assert trace(text) == pytest.approx(trace(IMAGES), rel=0.1)
    assert abs(trace(TEXT) - trace(IMAGES)) > 0.5 * trace(IMAGES)


@pytest.mark.parametrize(
    "settings",
    [
        MeanShiftSettings(),
        MeanShiftSettings(normalise=False),
        C3Settings(variance=0.0),
        MeanShiftNoiseSettings(scale=0.0),
    ],
)
def test_training_and_inference_do_the_same_to_the_same_vectors(settings: TransferSettings):
    transfer = fit(settings)
    for known in (None, CalibrationMean(Statistics.of("space", TEXT))):
        centring = transfer.image_centring(known)
        centring.observe(TEXT)
        np.testing.assert_allclose(centring.transform(TEXT), transfer.text(TEXT, None, KEY), atol=1e-6)


def test_the_mean_observed_is_that_of_all_images_in_any_batches():
    centring = fit(MeanShiftSettings()).image_centring()
    for batch in (IMAGES[:1], IMAGES[1:20], IMAGES[20:]):
        centring.observe(batch)
    centre = mean(IMAGES)
    expected = [norm([float(x) - c for x, c in zip(v, centre, strict=True)]) for v in IMAGES]
    np.testing.assert_allclose(centring.transform(IMAGES), expected, atol=1e-6)
    statistics = centring.statistics()
    assert statistics is not None
    assert (statistics.space, statistics.count) == ("space", len(IMAGES))


def test_a_calibrated_mean_does_not_move():
    centring = fit(MeanShiftSettings()).image_centring(CalibrationMean(Statistics.of("space", IMAGES)))
    before = centring.transform(IMAGES)
    centring.observe(TEXT)
    assert centring.transform(IMAGES).tobytes() == before.tobytes()


def test_domain_means_do_on_images_what_domain_mean_shift_does_on_text():
    # Domains so far apart that the nearest mean is a vector's own.
    apart = TEXT + 10 * np.array([[name == "day", name == "night", *[0] * 10] for name in DOMAINS], np.float32)
    apart /= np.linalg.norm(apart, axis=1, keepdims=True)
    statistics = Statistics.of("space", apart, DOMAINS)
    transfer = DomainMeanShiftSettings().fit(statistics, [])
    centring = transfer.image_centring(DomainMeans(statistics))
    np.testing.assert_allclose(centring.transform(apart), transfer.text(apart, DOMAINS, KEY), atol=1e-5)
    assert centring.statistics() is statistics


def test_a_picture_goes_to_the_domain_whose_mean_is_nearest():
    statistics = Statistics.of("space", IMAGES, [DOMAINS[row % 3] for row in range(len(IMAGES))])
    means = DomainMeans(statistics)
    for vector, chosen in zip(TEXT, means.of(TEXT), strict=True):
        nearest = min(statistics.domain_mean.values(), key=lambda mean: float(np.linalg.norm(vector - mean)))
        np.testing.assert_array_equal(chosen, nearest)


def test_domain_means_of_images_without_domains_are_refused():
    with pytest.raises(UserError, match=r"centring=domain needs means by domain, and these image statistics have none"):
        DomainMeans(Statistics.of("space", IMAGES))


def test_what_is_observed_keeps_its_domains():
    centring = fit(MeanShiftSettings()).image_centring()
    centring.observe(IMAGES[:4], DOMAINS[:4])
    statistics = centring.statistics()
    assert statistics is not None
    assert statistics.domain_count == {"day": 2, "night": 1, "open": 1}


def test_a_running_mean_is_the_recursion_in_any_batches():
    rate, start = 0.3, Statistics.of("space", TEXT)
    estimate, expected = start.mean.copy(), list[np.ndarray]()
    for vector in IMAGES.astype(np.float64):
        estimate = (1 - rate) * estimate + rate * vector
        expected.append(estimate)
    for cuts in ([], [1, 7], [29]):
        running = RunningMean(start, rate)
        means = [running.of(batch) for batch in np.split(IMAGES, cuts)]
        np.testing.assert_allclose(np.concatenate(means), expected, atol=1e-12)
    assert running.statistics() is start


def test_a_running_mean_converges_to_that_of_the_test_set_and_recovers_after_a_shift():
    rate = 0.02
    here, there = cone(seed=5, count=6000, spread=0.5), cone(seed=6, count=6000, spread=0.5)
    running = RunningMean(Statistics.of("space", TEXT), rate)
    for stream in (here, there):
        errors = ((running.of(stream) - stream.mean(axis=0)) ** 2).sum(axis=1)
        assert errors[0] > 10 * errors[1000:].mean()
        assert errors[1000:].mean() == pytest.approx(rate / (2 - rate) * trace(stream), rel=0.2)
    settled = fit(MeanShiftSettings())
    sides = [settled.image_centring(mean) for mean in (running, CalibrationMean(Statistics.of("space", there)))]
    similar = np.vecdot(*(side.transform(there) for side in sides))
    assert similar.mean() > 0.98


def test_one_picture_without_a_mean_is_refused_with_the_way_out():
    centring = fit(C3Settings()).image_centring()
    with pytest.raises(UserError, match=r"Calibrate it: `python evaluate.py run="):
        centring.transform(IMAGES[:1])
    assert centring.statistics() is None


def test_statistics_of_another_encoder_are_refused(tmp_path: Path):
    other = Statistics.of("other", IMAGES)
    other.save(tmp_path)
    with pytest.raises(UserError, match=r"other.*space"):
        fit(MeanShiftSettings()).image_centring(CalibrationMean(other))
    with pytest.raises(UserError, match=r"other.*space"):
        fit(ReAlignSettings(image_statistics=str(tmp_path)))


def test_images_of_another_norm_are_refused():
    with pytest.raises(UserError, match=r"any norm.*unit norm"):
        fit(MeanShiftSettings()).image_centring().observe(2 * IMAGES)


def test_both_sides_of_every_transfer_are_of_one_space_and_norm(transfer: Transfer):
    other, long = Statistics.of("other", IMAGES), Statistics.of("space", 7 * IMAGES)
    for mean in (CalibrationMean(other), CalibrationMean(long), RunningMean(other, 0.1)):
        with pytest.raises(UserError, match=r"(other|any norm).* do not mix with those of space \(unit norm\)"):
            transfer.image_centring(mean)
    with pytest.raises(UserError, match=r"any norm.*unit norm"):
        transfer.image_centring().observe(7 * IMAGES)


@pytest.mark.parametrize("count", [1, 5])
def test_images_that_are_all_their_mean_are_refused(count: int):
    centring = fit(MeanShiftSettings()).image_centring()
    for _ in range(count):
        centring.observe(IMAGES[:1])
    with pytest.raises(
        UserError, match=rf"the images under test \({count}\) have one vector, which less their mean is"
    ):
        centring.transform(IMAGES[:1])
    centring.observe(IMAGES[1:2])
    assert np.linalg.norm(centring.transform(IMAGES[:1])) == pytest.approx(1)


@pytest.mark.parametrize("side", ["texts", "images"])
def test_realign_of_vectors_without_spread_is_refused(side: str):
    alike, statistics = Statistics.of("space", np.repeat(IMAGES[:1], 9, axis=0)), Statistics.of("space", TEXT)
    texts, images = (alike, statistics) if side == "texts" else (statistics, alike)
    with pytest.raises(
        UserError, match=rf"spread of images, and all 9 {side} of space have one vector\. Take {side} that"
    ):
        ReAlign.onto(images, texts, [TEXT])


def test_realign_without_image_statistics_says_how_to_make_them():
    with pytest.raises(
        UserError, match=r"transfer=realign needs statistics of images: set image_statistics= to .* task=statistics"
    ):
        fit(ReAlignSettings())


def test_a_saved_transfer_does_the_same(transfer: Transfer, tmp_path: Path):
    transfer.save(tmp_path)
    loaded = load_transfer(tmp_path)
    assert type(loaded) is type(transfer)
    assert loaded.space == "space"
    assert loaded.text(TEXT, DOMAINS, KEY).tobytes() == transfer.text(TEXT, DOMAINS, KEY).tobytes()
    sides = [each.image_centring(CalibrationMean(Statistics.of("space", IMAGES))) for each in (loaded, transfer)]
    assert sides[0].transform(IMAGES).tobytes() == sides[1].transform(IMAGES).tobytes()


def test_text_is_float32_from_float16_and_keeps_its_input(transfer: Transfer):
    half = TEXT.astype(np.float16)
    before = half.copy()
    out = transfer.text(half, ["open"] * len(half), KEY)
    assert out.dtype == np.float32
    assert out.shape == half.shape
    assert half.tobytes() == before.tobytes()
    np.testing.assert_allclose(out, transfer.text(TEXT, ["open"] * len(half), KEY), atol=5e-3)


def test_a_missing_or_damaged_transfer_is_named(transfer: Transfer, tmp_path: Path):
    with pytest.raises(UserError, match=f"no transfer at {tmp_path}"):
        load_transfer(tmp_path)
    transfer.save(tmp_path)
    (tmp_path / "transfer.safetensors").write_bytes(b"torn")
    with pytest.raises(UserError, match=rf"{tmp_path}/transfer\.safetensors has 4 bytes"):
        load_transfer(tmp_path)


@pytest.mark.parametrize("kind", ["builtins.dict", "unicorn.transfer.c3.C3Settings", "no.such.Thing", "unicorn"])
def test_only_transfers_are_loaded(kind: str, tmp_path: Path):
    fit(NoTransferSettings()).save(tmp_path)
    values = {"kind": kind, "space": "space", "normalised": True, "files": {}}
    write_sealed(tmp_path / "transfer.json", values)
    with pytest.raises(UserError, match=r"transfer\.json cannot be read \(.*\)\. Restore"):
        load_transfer(tmp_path)


@settings(deadline=None)
@given(rows=st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=20), data=st.data())
def test_noise_belongs_to_the_row_in_every_order_and_batch(rows: list[int], data: st.DataObject):
    together = gaussian(NoiseKey(seed=5, epoch=2, rows=np.array(rows)), 8)
    order = data.draw(st.permutations(range(len(rows))))
    for place in order:
        alone = gaussian(NoiseKey(seed=5, epoch=2, rows=np.array([rows[place]])), 8)
        assert alone[0].tobytes() == together[place].tobytes()


def test_noise_is_that_of_the_stream_advanced_to_the_row():
    stream = np.random.Philox(key=[5, 2])
    stream.advance(7 << 192)
    expected = np.random.Generator(stream).standard_normal(8, dtype=np.float32)
    np.testing.assert_array_equal(gaussian(NoiseKey(seed=5, epoch=2, rows=np.array([7])), 8)[0], expected)


def test_noise_is_standard_normal_and_new_for_every_row_epoch_and_seed():
    rows = np.arange(2000)
    noises = [gaussian(NoiseKey(seed=s, epoch=e, rows=rows), 16) for s, e in ((0, 0), (0, 1), (1, 0))]
    for noise in noises:
        assert abs(noise.mean()) < 0.02
        assert abs(noise.std() - 1) < 0.02
        assert np.abs(np.corrcoef(noise.T) - np.eye(16)).max() < 0.12
    values = np.concatenate(noises)
    assert len(np.unique(values[:, 0])) > 0.999 * len(values)
    assert abs(np.corrcoef(noises[0].ravel(), noises[1].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(noises[0].ravel(), noises[2].ravel())[0, 1]) < 0.02


@pytest.mark.parametrize(
    ("settings", "key"), [(C3Settings, "variance"), (CloseSettings, "scale"), (MeanShiftNoiseSettings, "scale")]
)
def test_noise_of_a_negative_amount_is_refused(settings: Any, key: str) -> None:
    for amount in (-0.1, float("nan"), float("inf")):
        with pytest.raises(UserError, match=rf"{key}=\S+ of a transfer's noise: must be 0 or more\."):
            settings(**{key: amount})
    assert settings(**{key: 0.0})
