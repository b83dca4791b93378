"""The card of the shipped weights, as a page: what was trained, how, and what it came to."""

from typing import Any

Card = dict[str, Any]

_ABOUT = """# The embedded world's models

An image tower and a text tower that share a space, and a small Llama, trained by `python -m unicorn.scenes.pretrain`
from nothing: the towers on pairs of rendered scenes and dense captions, the language model on text alone. All figures
are of scenes that no model was trained on. This page is made from `card.json`.
"""
_PROBES = """## What the towers see

Accuracy of a probe with one hidden layer. Shape, colour, size and position are of the object in scenes with one;
"of a shape", "at a position" name one object among several. The last two columns are probes trained on text vectors and
read on pictures. The gate: at least {least} on pictures for {gated}: {verdict}.
"""
_BINDING = """
"One character" and its like is reading. Rows near chance name what the towers do not see: no question about it belongs
in a benchmark, which asks only what a model trained on pictures answers far above blind.
"""


def markdown(card: Card, gated: tuple[str, ...]) -> str:
    """The page of a card."""
    verdict = "passed" if card["gate"]["passed"] else "missed"
    columns = list(card["probes"])
    names = list(card["probes"][columns[0]])
    sections = [
        _ABOUT,
        "## Recipe\n",
        _table(
            ["part", "weights", "seconds", "threads", "settings"],
            [_part(card, *part) for part in _PARTS],
        ),
        _PROBES.format(least=card["gate"]["least"], gated=", ".join(gated), verdict=verdict),
        _table(
            ["attribute", *columns], [[name, *(card["probes"][column][name] for column in columns)] for name in names]
        ),
        _BINDING,
        "## One change\n",
        "How often a picture is closer to its own caption than to that of a scene with one change (chance: a half).\n",
        _table(["changed", "right"], [[name, value] for name, value in card["swaps"].items()]),
        "## The gap between text and image\n",
        _table(["figure", "value"], [[name, value] for name, value in card["gap"].items()]),
        "## Answers of the language model about captions given as text\n",
        "Share of answers that greedy decoding gets word by word.\n",
        _table(["type", "right"], [[name, value] for name, value in card["answers from captions"].items()]),
        "## Files\n",
        _table(["file", "bytes", "sha256"], [[name, *file.values()] for name, file in card["files"].items()]),
    ]
    return "\n".join(sections)


_PARTS = ("image_tower", "towers"), ("text_tower", "towers"), ("language_model", "language model")


def _part(card: Card, name: str, recipe: str) -> list[str]:
    settings = ", ".join(f"{key.replace('_', ' ')} {_told(value)}" for key, value in card["recipe"][recipe].items())
    return [name, f"{card['weights'][name]:,}", card["seconds"][recipe], card["threads"][recipe], settings]


def _told(value: Any) -> Any:
    """A setting in words; courses by their steps, and how many of them are the lesson."""
    if not isinstance(value, list | tuple):
        return value
    return " and ".join(
        f"{course['name']} ({course['steps']} steps, lesson {course['lesson_steps']})" for course in value
    )


def _table(header: list[str], rows: list[list[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"
