"""Labels of classes, out of text files or the features of a dataset, as people would say them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from unicorn.errors import UserError, in_a_line
from unicorn.seeds.banks import Labels
from unicorn.seeds.hub import load_split

if TYPE_CHECKING:
    from datasets import Features

_NUMBERED = re.compile(r"^(?:n\d{8}|\d{1,5}[.:_])[\s_]*(?=\D)")  # of ImageNet, and 001.Black_footed_Albatross
_SYNSET = re.compile(r"\.[nvars]\.\d+$")  # of WordNet: tench.n.01
_INITIAL = re.compile(r"^/\w/")  # of Places365: /a/airport_terminal
_QUALIFIER = re.compile(r"\s*\([^)]*\)$")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


def clean(label: str, kind: Labels) -> str:
    """A label without its numbers, underscores, synonyms and qualifiers.

    "n01440764 tench, Tinca tinca" is a tench, "001.Black_footed_Albatross" a Black footed Albatross,
    "/b/bazaar/indoor" an indoor bazaar. A name keeps its commas, and an activity's humps are taken apart.
    """
    label = _SYNSET.sub("", _INITIAL.sub("", _NUMBERED.sub("", label.strip())))
    if kind is Labels.COMMON:
        label = label.split(",")[0]
        thing, slash, where = label.rpartition("/")
        label = f"{where} {thing}" if slash and where in ("indoor", "outdoor", "interior", "exterior") else label
    if kind is Labels.ACTIVITIES:
        label = _HUMP.sub(" ", label)
        label = label.lower() if label.istitle() else label
    if kind is not Labels.MODELS:
        label = _QUALIFIER.sub("", label.replace("/", " "))
    return " ".join(label.replace("_", " ").split())


def labels_of_file(path: Path) -> Iterator[str]:
    """The lines of a text file, but those that are empty or begin with #. Raises UserError if it is no text."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as labels ({in_a_line(error)}). It has one a line.") from error
    return (line for line in lines if line.strip() and not line.startswith("#"))


def labels_of_dataset(name: str, config: str | None, split: str, revision: str | None, column: str | None) -> list[str]:
    """The names of the classes of a dataset. Raises UserError if it has none, or `column` does not say whose."""
    from datasets import ClassLabel

    features = _features(name, config, split, revision)
    classes = {key: feature for key, feature in features.items() if isinstance(feature, ClassLabel)}
    chosen = classes if column is None else {key: each for key, each in classes.items() if key == column}
    if len(chosen) != 1:
        there = f"its columns of classes are {', '.join(classes)}" if classes else "none of its columns is a ClassLabel"
        raise UserError(f"the labels of {name} cannot be told: {there}. Set seeds.column= to one of them.")
    return list(next(iter(chosen.values())).names)


def _features(name: str, config: str | None, split: str, revision: str | None) -> "Features":
    """What is known of a dataset's columns, if possible without fetching it."""
    from datasets import load_dataset_builder

    if not Path(name).is_dir():
        try:
            features = load_dataset_builder(name, config, revision=revision).info.features
        except Exception as error:  # of the network or the Hub: any
            raise UserError(
                f"the dataset {name} cannot be had ({in_a_line(error)}). Mend seeds.dataset=, .config= or .revision=."
            ) from error
        if features is not None:
            return features
    return load_split(name, config, split, revision).features
