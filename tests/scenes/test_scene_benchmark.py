"""The benchmark of the world, and pictures for the captions of a dataset."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Float
from PIL.Image import Image
from torch import Tensor

from unicorn.dataset import DatasetWriter, Embeddings, Part, UnicornDataset
from unicorn.errors import UserError
from unicorn.evaluation.task import Benchmark
from unicorn.records import Caption, Instruction, Message, Role, Task
from unicorn.scenes.benchmark import ASKED, SceneBenchmarkSettings
from unicorn.scenes.graph import keyed_random, sample_scene
from unicorn.scenes.language import dense_caption
from unicorn.scenes.paired import picture_of, write_paired
from unicorn.scenes.reader import read

HEAVY = ("PIL", "matplotlib", "sklearn", "torch", "unicorn.scenes.render")


class BrightnessEncoder:
    """Sees a picture's mean colour."""

    space = "brightness"
    dimension = 3

    def image_tower(self) -> "BrightnessEncoder":
        return self

    def text_tower(self) -> "BrightnessEncoder":
        raise AssertionError("no text is encoded")

    def encode(self, images: list[Image]) -> Float[Tensor, "n d"]:
        pixels = np.stack([np.asarray(image).reshape(-1, 3).mean(axis=0) for image in images])
        return torch.from_numpy(pixels / np.linalg.norm(pixels, axis=1, keepdims=True)).float()


def test_every_type_is_asked_once_of_a_picture_at_most_and_often_enough() -> None:
    benchmark = SceneBenchmarkSettings(count=150).build()
    assert isinstance(benchmark, Benchmark)
    examples = benchmark.examples()
    assert len({example.id for example in examples}) == len(examples)
    asked = Counter((example.picture, example.type) for example in examples)
    assert set(asked.values()) == {1}
    by_type = Counter(example.type for example in examples)
    assert set(by_type) == set(ASKED)
    assert min(by_type.values()) > 20


def test_examples_and_pictures_are_the_same_each_time_and_follow_the_seed() -> None:
    first, second = (SceneBenchmarkSettings(count=5).build() for _ in range(2))
    assert first.examples() == second.examples()
    for one, other in zip(first.pictures(), second.pictures(), strict=True):
        assert (one.id, one.caption, one.domain) == (other.id, other.caption, other.domain)
        assert one.image.tobytes() == other.image.tobytes()
    assert SceneBenchmarkSettings(count=5, seed=1).build().examples() != first.examples()


def test_references_are_right_and_multiple_choice_goes_by_letter() -> None:
    benchmark = SceneBenchmarkSettings(count=60).build()
    for example in benchmark.examples():
        assert benchmark.score(example, example.reference)
        assert not benchmark.score(example, "")
        if example.choices:
            right = example.choices["ABCD".index(example.reference)]
            assert benchmark.score(example, right)
            assert f"\n{example.reference}. {right}" in example.prompt
            wrong = "ABCD"[("ABCD".index(example.reference) + 1) % 4]
            assert not benchmark.score(example, wrong)


def test_captions_tell_of_their_pictures() -> None:
    for picture in SceneBenchmarkSettings(count=30).build().pictures():
        assert read(picture.caption).objects
        assert read(picture.caption).domain in (None, picture.domain)


def test_an_unknown_type_is_named_with_the_choices() -> None:
    with pytest.raises(UserError, match=r"unknown type of question .smell.\. Choose from .*colour"):
        SceneBenchmarkSettings(types=["smell"]).build()
    with pytest.raises(UserError, match=r"count=-3 scenes: there must be 1 at least"):
        SceneBenchmarkSettings(count=-3).build()


def test_settings_load_neither_renderer_nor_figures() -> None:
    files = (Path(__file__).parents[2] / "conf").rglob("*.yaml")
    kinds = re.findall(r"^kind: (\S+)\.\w+$", "\n".join(path.read_text() for path in files), re.MULTILINE)
    assert {"unicorn.scenes.benchmark", "unicorn.evaluation.shifted_test"} <= set(kinds)
    code = f"import sys, {', '.join(kinds)}; print([name for name in {HEAVY} if name in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A dataset of 30 captions in two blocks, one instruction each."""
    rng = np.random.default_rng(0)
    with DatasetWriter(tmp_path / "source", block_size=20) as writer:
        captions, instructions = writer.captions({"made": "here"}), writer.instructions({"made": "here too"})
        vectors = writer.embeddings("brightness", {})
        for block, size in enumerate((20, 10)):
            written = [_caption(f"{block}-{row}") for row in range(size)]
            captions.write(block, written)
            instructions.write(block, [_instruction(caption) for caption in written])
            random = rng.normal(size=(size, 3))
            unit = random / np.linalg.norm(random, axis=1, keepdims=True)
            vectors.write(block, Embeddings(ids=[caption.id for caption in written], vectors=unit))
        for part in (captions, instructions, vectors):
            part.complete(2)
    return tmp_path / "source"


def _caption(key: str) -> Caption:
    rng = keyed_random("test", key)
    scene = sample_scene(rng)
    return Caption(id=key, text=dense_caption(scene, rng), domain=scene.domain, generator="grammar", prompt_version="1")


def _instruction(caption: Caption) -> Instruction:
    messages = Message(role=Role.USER, content="what?"), Message(role=Role.ASSISTANT, content="this")
    return Instruction(id=f"{caption.id}/0", caption_id=caption.id, task=Task.QUESTION_ANSWERING, messages=messages)


def test_a_paired_dataset_has_the_same_text_and_the_vectors_of_pictures(source: Path) -> None:
    out = source.parent / "paired"
    write_paired(source, out, BrightnessEncoder())
    texts, paired = UnicornDataset.open(source), UnicornDataset.open(out)
    assert list(paired.captions()) == list(texts.captions())
    assert list(paired.instructions()) == list(texts.instructions())
    assert paired.space == "brightness"
    pictures = [picture_of(caption) for caption in texts.captions()]
    expected = BrightnessEncoder().encode(pictures).numpy()
    assert paired.vectors(np.arange(30)) == pytest.approx(expected, abs=2e-3)
    assert paired.statistics.count == paired.training_mask.sum()
    assert paired.count(Part.INSTRUCTIONS) == 30


def test_a_picture_shows_what_its_caption_says() -> None:
    white, black = (
        Caption(
            id="one",
            text=f"there is a small red circle in the top left . the background is {shade} and plain . "
            "this is a daylight photo .",
            domain="day",
            generator="",
            prompt_version="",
        )
        for shade in ("white", "black")
    )
    assert np.asarray(picture_of(white)).mean() > 150 > 60 > np.asarray(picture_of(black)).mean()
    assert picture_of(white).tobytes() == picture_of(white).tobytes()


def test_another_encoder_is_refused(source: Path) -> None:
    other = BrightnessEncoder()
    other.space = "other"
    with pytest.raises(UserError, match="encoded in brightness, and pictures would be in other"):
        write_paired(source, source.parent / "paired", other)
