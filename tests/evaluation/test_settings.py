"""Which mean image vectors are centred on."""

from pathlib import Path

import numpy as np
import pytest

from unicorn.errors import UserError
from unicorn.evaluation.settings import Centring, EvaluationSettings
from unicorn.transfer import Statistics, Transfer, TransferSettings
from unicorn.transfer.close import CloseSettings
from unicorn.transfer.mean_shift import MeanShiftSettings
from unicorn.transfer.none import NoTransferSettings
from unicorn.transfer.zero import ZeroSettings

RNG = np.random.default_rng(0)
TEXT, CALIBRATION, IMAGES = (RNG.normal(size=(40, 6)) + shift for shift in (0, 1, 2))
TEXT, CALIBRATION, IMAGES = (
    (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32) for rows in (TEXT, CALIBRATION, IMAGES)
)


@pytest.fixture
def transfer() -> Transfer:
    return MeanShiftSettings().fit(Statistics.of("space", TEXT), [TEXT])


def centred(settings: EvaluationSettings, transfer: Transfer) -> np.ndarray:
    centring = settings.image_centring(transfer)
    centring.observe(IMAGES)
    return centring.transform(IMAGES)


def less(mean: np.ndarray) -> np.ndarray:
    shifted = IMAGES - mean
    return shifted / np.linalg.norm(shifted, axis=1, keepdims=True)


def test_the_test_set_s_own_mean_is_the_default(transfer: Transfer) -> None:
    np.testing.assert_allclose(centred(EvaluationSettings(), transfer), less(IMAGES.mean(axis=0)), atol=1e-6)


def test_a_calibration_s_mean_is_used_where_it_is_chosen(transfer: Transfer, tmp_path: Path) -> None:
    Statistics.of("space", CALIBRATION).save(tmp_path)
    chosen = EvaluationSettings(centring=Centring.calibration, calibration=str(tmp_path))
    np.testing.assert_allclose(centred(chosen, transfer), less(CALIBRATION.mean(axis=0)), atol=1e-6)
    named = EvaluationSettings(calibration=str(tmp_path))
    np.testing.assert_allclose(centred(named, transfer), less(IMAGES.mean(axis=0)), atol=1e-6)


def test_without_centring_images_stay_as_they_are(transfer: Transfer) -> None:
    assert centred(EvaluationSettings(centring=Centring.none), transfer).tobytes() == IMAGES.tobytes()


@pytest.mark.parametrize("settings", [NoTransferSettings(), CloseSettings(), ZeroSettings()])
def test_a_centring_that_changes_nothing_says_so(
    settings: TransferSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Statistics.of("space", CALIBRATION, ["day"] * len(CALIBRATION)).save(tmp_path)
    for centring in Centring:
        caplog.clear()
        transfer = settings.fit(Statistics.of("space", TEXT), [TEXT])
        EvaluationSettings(centring=centring, calibration=str(tmp_path)).image_centring(transfer)
        said = [f"evaluation.centring={centring} changes nothing: this transfer subtracts no mean"]
        assert caplog.messages == (said if centring in ("calibration", "running", "domain") else [])


def test_a_centring_that_subtracts_a_mean_says_nothing(
    transfer: Transfer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Statistics.of("space", CALIBRATION).save(tmp_path)
    centred(EvaluationSettings(centring=Centring.calibration, calibration=str(tmp_path)), transfer)
    assert not caplog.messages


def test_without_centring_images_of_another_norm_are_refused(transfer: Transfer) -> None:
    centring = EvaluationSettings(centring=Centring.none).image_centring(transfer)
    with pytest.raises(UserError, match=r"space \(any norm\) do not mix with those of space \(unit norm\)"):
        centring.observe(7 * IMAGES)


def test_a_running_mean_starts_from_the_calibration_s(transfer: Transfer, tmp_path: Path) -> None:
    calibration = Statistics.of("space", CALIBRATION)
    calibration.save(tmp_path)
    chosen = EvaluationSettings(centring=Centring.running, calibration=str(tmp_path), forgetting=0.5)
    second = 0.25 * calibration.mean + 0.25 * IMAGES[0] + 0.5 * IMAGES[1]
    np.testing.assert_allclose(centred(chosen, transfer)[1], less(second)[1], atol=1e-5)


def test_the_nearest_domain_s_mean_is_used_where_it_is_chosen(transfer: Transfer, tmp_path: Path) -> None:
    domains = ["day"] * len(IMAGES) + ["night"] * len(IMAGES)
    Statistics.of("space", np.concatenate([IMAGES, -IMAGES]), domains).save(tmp_path)  # night lies the other way
    chosen = EvaluationSettings(centring=Centring.domain, calibration=str(tmp_path))
    np.testing.assert_allclose(centred(chosen, transfer), less(IMAGES.mean(axis=0)), atol=1e-6)


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.0, 1.1])
def test_a_rate_that_forgets_nothing_or_all_is_refused(rate: float) -> None:
    with pytest.raises(UserError, match=r"evaluation\.forgetting=.*: must lie above 0 and below 1"):
        EvaluationSettings(forgetting=rate)


@pytest.mark.parametrize("centring", [Centring.calibration, Centring.running, Centring.domain])
def test_a_calibration_that_is_chosen_and_not_named_is_asked_for(centring: Centring, transfer: Transfer) -> None:
    with pytest.raises(
        UserError,
        match=rf"evaluation\.centring={centring} needs .* of them, as an evaluation leaves in image_statistics/",
    ):
        EvaluationSettings(centring=centring).image_centring(transfer)
