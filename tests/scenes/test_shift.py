"""Test sets in another light, and of other scenes: the questions stay, the pictures change."""

import numpy as np
import pytest

from unicorn.scenes.benchmark import SceneBenchmark, SceneBenchmarkSettings
from unicorn.scenes.shift import Shift


def benchmark(shift: Shift) -> SceneBenchmark:
    return SceneBenchmarkSettings(count=20, shift=shift).build()


def pixels(shift: Shift) -> np.ndarray:
    return np.stack([np.asarray(picture.image, dtype=float) for picture in benchmark(shift).pictures()])


@pytest.mark.parametrize(("shift", "gains"), [(Shift.tint, (1.0, 0.82, 0.6)), (Shift.dark, (0.5, 0.5, 0.5))])
def test_style_scales_the_colours_of_the_same_scenes(shift: Shift, gains: tuple[float, ...]) -> None:
    np.testing.assert_allclose(pixels(shift), pixels(Shift.none) * gains, atol=0.5)
    assert benchmark(shift).examples() == benchmark(Shift.none).examples()


def test_blur_keeps_the_light_and_loses_the_edges() -> None:
    plain, blurred = pixels(Shift.none), pixels(Shift.blur)
    np.testing.assert_allclose(blurred.mean(axis=(1, 2)), plain.mean(axis=(1, 2)), atol=2)
    assert np.abs(np.diff(blurred, axis=2)).max() < 0.8 * np.abs(np.diff(plain, axis=2)).max()
    assert benchmark(Shift.blur).examples() == benchmark(Shift.none).examples()


def test_content_is_the_same_objects_before_black() -> None:
    examples = benchmark(Shift.content).examples()
    assert {example.reference for example in examples if example.type == "background"} == {"black"}
    plain = {example.id: example.reference for example in benchmark(Shift.none).examples()}
    positions = [example for example in examples if example.type == "position"]
    assert positions
    assert all(plain[example.id] == example.reference for example in positions)
    assert pixels(Shift.content).mean() < 0.7 * pixels(Shift.none).mean()
