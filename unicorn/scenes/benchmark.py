"""The benchmark of the world: questions about rendered scenes that nothing else was made from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool

from unicorn.errors import UserError
from unicorn.evaluation.scoring import accuracy_by_type, chosen_letter, matches
from unicorn.evaluation.task import Example
from unicorn.pictures import Picture
from unicorn.scenes.graph import Scene, keyed_random, sample_scene
from unicorn.scenes.language import dense_caption
from unicorn.scenes.questions import TYPES, questions
from unicorn.scenes.shift import Shift, shifted_picture, shifted_scene

if TYPE_CHECKING:
    from PIL.Image import Image

# Types that a model trained on pictures answers at least 25 points above blind; docs/embedded_world.md has the figures.
# The others ask for what the towers do not see: binding, relation, reading.
ASKED = (
    *("background", "colour", "count", "domain", "multiple_choice"),
    *("position", "shape", "size", "texture", "two_facts"),
)


@dataclass(kw_only=True)
class SceneBenchmarkSettings:
    """`count` scenes, each asked one question of every type in `types` that it decides.

    `shift` moves the test set away from what the captions told of, in style or in content.
    """

    count: int = 400
    types: list[str] = field(default_factory=lambda: list(ASKED))
    shift: Shift = Shift.none
    seed: int = 0

    def build(self) -> "SceneBenchmark":
        """Raises UserError if there is no scene to draw, or no such type of question."""
        if self.count < 1:
            raise UserError(f"count={self.count} scenes: there must be 1 at least.")
        for name in self.types:
            if name not in TYPES:
                raise UserError(f"unknown type of question {name!r}. Choose from {', '.join(TYPES)}.")
        return SceneBenchmark(self)


class SceneBenchmark:
    """Exact match after normalisation; of a multiple choice, the letter. Captions make its pictures pairs."""

    def __init__(self, settings: SceneBenchmarkSettings) -> None:
        self._settings = settings

    def pictures(self) -> Iterator[Picture]:
        """The scenes, rendered, each with a dense caption."""
        for key, scene in self._scenes():
            yield Picture(
                id=key,
                image=self._render(key, scene),
                caption=dense_caption(scene, keyed_random(key, "caption")),
                domain=scene.domain,
            )

    def examples(self) -> list[Example]:
        """The questions, scene by scene."""
        return [
            Example(
                id=f"{key}/{asked.type}",
                picture=key,
                type=asked.type,
                template=asked.template,
                question=asked.question,
                reference=asked.answer,
                choices=asked.options or (),
            )
            for key, scene in self._scenes()
            for name in self._settings.types
            for asked in questions(scene.facts, keyed_random(key, "question", name), types=(name,), number=1)
        ]

    def score(self, example: Example, answer: str) -> bool:
        """Whether the answer is the reference."""
        if example.choices:
            return chosen_letter(answer, example.choices) == example.reference
        return matches(answer, example.reference)

    def aggregate(self, examples: Sequence[Example], correct: Bool[np.ndarray, " n"]) -> dict[str, float]:
        """Accuracy by type, and over all types."""
        return accuracy_by_type(examples, correct)

    def _scenes(self) -> Iterator[tuple[str, Scene]]:
        for number in range(self._settings.count):
            key = f"benchmark/{self._settings.seed}/{number}"
            yield key, shifted_scene(sample_scene(keyed_random(key, "scene")), self._settings.shift)

    def _render(self, key: str, scene: Scene) -> "Image":
        from unicorn.scenes.render import render

        return shifted_picture(render(scene, keyed_random(key, "picture")), self._settings.shift)
