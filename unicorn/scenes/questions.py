"""What can be asked about a scene: questions with short canonical answers, from complete or partial facts.

A question's `type` is what it asks for, its `template` the family of phrasings it comes from. Only what the facts
decide is asked. Yes and no, and the letters A to D, come equally often.
"""

import random
from dataclasses import dataclass
from itertools import islice, permutations

from unicorn.scenes.askers import ASKERS, OPTIONS, all_of
from unicorn.scenes.graph import CHARACTERS, PartialScene
from unicorn.scenes.lexicon import LETTERS

FORMS = {  # template -> phrasings
    "colour": ("what color is the object?", "which color does the object have?"),
    "shape": ("what shape is the object?", "which shape does the object have?"),
    "size": ("what size is the object?", "how large is the object?"),
    "position": ("where is the object?", "in which part of the picture is the object?"),
    "count": ("how many objects are there?", "how many objects can be seen?"),
    "background": ("what color is the background?", "which color does the background have?"),
    "texture": ("what texture does the background have?", "which pattern is on the background?"),
    "domain": ("what kind of picture is this?", "which kind of picture is it?"),
    "reading": ("what is written?", "what does the writing say?"),
    "presence/shape": ("is there a {shape}?", "can a {shape} be seen?"),
    "presence/colour": ("is there a {colour} object?", "can a {colour} object be seen?"),
    "relation/left": ("is the {first} left of the {second}?", "is the {first} to the left of the {second}?"),
    "relation/right": ("is the {first} right of the {second}?", "is the {first} to the right of the {second}?"),
    "relation/above": ("is the {first} above the {second}?", "is the {first} higher than the {second}?"),
    "relation/below": ("is the {first} below the {second}?", "is the {first} lower than the {second}?"),
    "binding/colour of shape": ("what color is the {shape}?", "which color does the {shape} have?"),
    "binding/position of shape": ("where is the {shape}?", "in which part of the picture is the {shape}?"),
    "binding/size of shape": ("what size is the {shape}?", "how large is the {shape}?"),
    "binding/shape of colour": ("what shape is the {colour} object?", "which shape does the {colour} object have?"),
    "binding/shape at position": ("which shape is in the {position}?", "what shape is the object in the {position}?"),
    "binding/colour at position": ("which color is in the {position}?", "what color is the object in the {position}?"),
    "two_facts/object": ("what color and shape is the object?", "which color and which shape does the object have?"),
    "two_facts/size": ("what size and color is the object?", "which size and which color does the object have?"),
    "two_facts/background": (
        "what color and texture is the background?",
        "which color and which texture does the background have?",
    ),
    "two_facts/count": ("how many objects are on which texture?", "how many objects and which texture can be seen?"),
    "conjunction/count": ("{quantity}, and is the background {texture}?",),
    "conjunction/object": ("is the object both {colour} and {size}?", "is the object {colour} as well as {size}?"),
    "conjunction/domain": ("{domain}, and is the background {background}?",),
    "counting": ("how many objects are {first} or {second}?", "how many objects have the color {first} or {second}?"),
    "comparison/sizes": ("do all objects have the same size?", "are all objects of the same size?"),
    "comparison/larger": ("which is larger, the {first} or the {second}?",),
    "multiple_choice/present shape": ("which of these shapes is there?", "which of these shapes can be seen?"),
    "multiple_choice/present colour": ("which of these colors has an object?", "an object of which color can be seen?"),
}
DESCRIBE_FORMS = "describe the picture.", "what can be seen in the picture?", "tell me what the picture shows."
REASONS = (
    "yes no zero because the all of them are some small and large",
    "there is one object and it",
)  # words of answers
MULTIPLE_CHOICES = (  # templates that are also asked with options
    *("colour", "shape", "position", "count", "background", "texture", "domain", "reading"),
    *("present shape", "present colour"),
)
TYPES: dict[str, list[str]] = {}  # type -> its templates
for _template in (*ASKERS, *(f"multiple_choice/{about}" for about in MULTIPLE_CHOICES)):
    TYPES.setdefault(_template.partition("/")[0], []).append(_template)

TASKS = {  # of instruction data -> types of its questions
    "multiple_choice": ("multiple_choice",),
    "question_answering": (
        *("colour", "shape", "size", "position", "count", "background", "texture", "domain", "reading"),
        *("presence", "relation", "binding"),
    ),
    "complex_reasoning": ("two_facts", "conjunction", "counting", "comparison"),
}


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question and its only right answer; of a multiple choice, the answer is a letter."""

    type: str
    template: str
    question: str
    answer: str
    options: tuple[str, ...] | None = None

    @property
    def prompt(self) -> str:
        """The question as it is put, with its options behind it."""
        options = zip(LETTERS, self.options or (), strict=False)
        return " ".join([self.question, *(f"{letter}. {option}" for letter, option in options)])


def ask(template: str, facts: PartialScene, rng: random.Random) -> Question | None:
    """A question of the template, None where the facts do not decide it."""
    type_, _, about = template.partition("/")
    if type_ == "multiple_choice":
        return _ask_with_options(template, about, facts, rng)
    asked = ASKERS[template](facts, rng)
    if asked is None:
        return None
    slots, answer = asked
    return Question(type=type_, template=template, question=_phrase(template, slots, rng), answer=answer)


def questions(
    facts: PartialScene, rng: random.Random, task: str | None = None, types: tuple[str, ...] = (), number: int = 6
) -> list[Question]:
    """Up to `number` questions that the facts decide, no two of one template, of one task or of the given types.

    Without task and types, of any type.
    """
    types = types or (TASKS[task] if task else tuple(TYPES))
    templates = [template for name in types for template in TYPES[name]]
    rng.shuffle(templates)
    asked = (ask(template, facts, rng) for template in templates)
    return list(islice((question for question in asked if question is not None), number))


def _phrase(template: str, slots: dict[str, str], rng: random.Random) -> str:
    return rng.choice(FORMS[template]).format_map(slots)


def _ask_with_options(template: str, about: str, facts: PartialScene, rng: random.Random) -> Question | None:
    if template in FORMS:  # which of these is there?
        kind = about.removeprefix("present ")
        present = all_of(facts, kind)
        if present is None:
            return None
        answer, form = rng.choice(present), template
        wrong = [value for value in OPTIONS[kind] if value not in present]
    else:
        asked = ASKERS[about](facts, rng)
        if asked is None:
            return None
        answer, form = asked[1], about
        values = _texts_like(answer) if about == "reading" else OPTIONS[about]
        wrong = [value for value in values if value != answer]
    options = [answer, *rng.sample(wrong, 3)]
    rng.shuffle(options)
    return Question(
        type="multiple_choice",
        template=template,
        question=_phrase(form, {}, rng),
        answer=LETTERS[options.index(answer)],
        options=tuple(options),
    )


def _texts_like(answer: str) -> list[str]:
    """Everything as long as the answer that could be written."""
    return [" ".join(characters) for characters in permutations(CHARACTERS, len(answer.split()))]
