"""Banks of templates, one for each domain, and what becomes of a label in a template.

A template is a caption with one placeholder or several:

    {a label} {A label}         an apple, scissors, rice; An apple
    {a ripe label}              a ripe apple, ripe scissors: the article by what follows it
    {the label} {The label}     the apple; of a name, the Eiffel Tower and Big Ben
    {label} {Label}             apple; Apple
    {labels} {Labels}           apples, rice; Apples
    {doing label}               of an activity: playing chess, doing archery, riding a horse
"""

import re
from dataclasses import dataclass
from enum import Enum
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from unicorn.errors import UserError, in_a_line
from unicorn.seeds.nouns import Number, article, doing, number_of, plural, with_the

_PLACEHOLDER = re.compile(r"\{(?:(?P<article>[Aa]n?|[Tt]he|doing) )?(?P<words>(?:[a-z-]+ )*)(?P<noun>[Ll]abels?)\}")
_SHIPPED = files("unicorn.seeds") / "templates"


class Labels(Enum):
    """What the labels of a domain are."""

    COMMON = "common"
    """Common nouns: apple, birds of prey, rice."""
    MODELS = "models"
    """What a maker calls it: Boeing 747, Lotus Elise. One can count them."""
    NAMES = "names"
    """The names of single things: Eiffel Tower, Big Ben."""
    ACTIVITIES = "activities"
    """What people do: archery, chess, riding a horse."""


@dataclass(frozen=True, kw_only=True)
class Bank:
    """The templates of a domain."""

    domain: str
    labels: Labels
    templates: tuple[str, ...]

    def fill(self, template: str, label: str) -> str:
        """The template, with the label in its places."""
        return _PLACEHOLDER.sub(lambda match: self._form(match, label), template)

    def _form(self, match: re.Match[str], label: str) -> str:
        kind = self.labels
        number = number_of(label) if kind is Labels.COMMON else Number.COUNTABLE
        noun = label
        if match["noun"].lower() == "labels" and number is Number.COUNTABLE:
            noun = plural(label)
        word = match["article"] or ""
        phrase = match["words"] + noun
        match word.lower():
            case "a" | "an" if number is Number.COUNTABLE:
                phrase = f"{article(phrase)} {phrase}"
            case "the" if kind is Labels.NAMES and not match["words"]:
                phrase = with_the(phrase)
            case "the":
                phrase = f"the {phrase}"
            case "doing":
                phrase = doing(phrase)
            case _:
                pass
        capital = word[:1].isupper() or match["noun"][0] == "L"
        return phrase[0].upper() + phrase[1:] if capital else phrase


def domains() -> list[str]:
    """Those that have a bank here."""
    return sorted(each.name.removesuffix(".yaml") for each in _SHIPPED.iterdir() if each.name.endswith(".yaml"))


def load_bank(domain: str, folder: str | None) -> Bank:
    """The bank of a domain, out of `folder` if it has one, else of those that are shipped.

    Raises UserError if there is none, or it is not as it should be.
    """
    own = Path(folder) / f"{domain}.yaml" if folder else None
    if own and own.is_file():
        return _read(domain, own.read_text(encoding="utf-8"), str(own))
    if domain not in domains():
        raise UserError(
            f"no templates for the domain {domain!r}. Set seeds.domain= to one of {', '.join(domains())}, "
            "or seeds.templates= to a folder with a file for it."
        )
    return _read(domain, (_SHIPPED / f"{domain}.yaml").read_text(encoding="utf-8"), f"{domain}.yaml")


def _read(domain: str, content: str, where: str) -> Bank:
    try:
        values: Any = yaml.safe_load(content)
        bank = Bank(domain=domain, labels=Labels(values["labels"]), templates=tuple(map(str, values["templates"])))
    except (yaml.YAMLError, ValueError, KeyError, TypeError) as error:
        kinds = ", ".join(kind.value for kind in Labels)
        raise UserError(
            f"{where} is no bank of templates ({in_a_line(error)}). "
            f"It has 'labels', which is one of {kinds}, and 'templates', a list."
        ) from error
    for template in bank.templates:
        if not _PLACEHOLDER.search(template) or set("{}") & set(_PLACEHOLDER.sub("", template)):
            raise UserError(
                f"{where}: the template {template!r} has no placeholder such as {{a label}}, or a wrong one."
            )
    return bank
