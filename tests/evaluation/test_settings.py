"""Which mean image vectors are centred on."""

from pathlib import Path

import numpy as np
import pytest

from unicorn.errors import UserError
from unicorn.evaluation.settings import Centring, EvaluationSettings
from unicorn.transfer import Statistics, Transfer
from unicorn.transfer.mean_shift import MeanShiftSettings

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


def test_a_calibration_that_is_chosen_and_not_named_is_asked_for(transfer: Transfer) -> None:
    with pytest.raises(UserError, match=r"centring=calibration needs .* set image_statistics="):
        EvaluationSettings(centring=Centring.calibration).image_centring(transfer)
