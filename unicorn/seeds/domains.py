"""Seeds that bring the knowledge of a domain: labels of classes, each in some templates."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import xxhash

from unicorn.errors import UserError
from unicorn.records import Seed
from unicorn.seeds.banks import Bank, load_bank
from unicorn.seeds.corpus import identity_of
from unicorn.seeds.labels import clean, labels_of_dataset, labels_of_file

_log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class DomainsSettings:
    """`per_label` captions of every label, by templates that `seed` draws from the bank of its domain.

    `labels` is a text file, one a line, or a folder of them, each by the name of its domain (birds.txt). Or the labels
    are the names of the classes of a `dataset` of the Hub, or in a folder; `column` says whose where it has several.
    `domain` names the bank where no file does. A folder `templates` of one's own banks goes before what is shipped.
    """

    labels: str | None = None
    dataset: str | None = None
    config: str | None = None
    split: str = "train"
    revision: str | None = None
    column: str | None = None
    domain: str | None = None
    templates: str | None = None
    per_label: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if self.per_label < 1:
            raise UserError(f"seeds.per_label={self.per_label}: a label has 1 template or more.")

    def build(self) -> "DomainSeeds":
        """Fill the templates. Raises UserError if labels or templates cannot be had."""
        return DomainSeeds(seed for bank, label, source in self._labels() for seed in self._filled(bank, label, source))

    def _labels(self) -> Iterator[tuple[Bank, str, str]]:
        """Every label once in its domain, with the name of where it is from."""
        for domain, source, labels in self._lists():
            bank = load_bank(domain, self.templates)
            if self.per_label > len(bank.templates):
                raise UserError(
                    f"seeds.per_label={self.per_label} is more than the {len(bank.templates)} templates of {domain}."
                )
            cleaned = [clean(label, bank.labels) for label in labels]
            if not all(cleaned):
                raise UserError(f"{source}: the label {labels[cleaned.index('')]!r} says nothing. Mend or remove it.")
            once = dict.fromkeys(cleaned)
            if repeated := len(cleaned) - len(once):
                _log.warning("%s: %d labels repeat an earlier one and are left out", source, repeated)
            yield from ((bank, label, source) for label in once)

    def _lists(self) -> Iterator[tuple[str, str, list[str]]]:
        """Domains, names of sources, labels as they are."""
        if (self.labels is None) == (self.dataset is None):
            raise UserError("labels come from a file or from a dataset: set one of seeds.labels= and seeds.dataset=.")
        if self.dataset is not None:
            labels = labels_of_dataset(self.dataset, self.config, self.split, self.revision, self.column)
            yield self.domain or Path(self.dataset).name, Path(self.dataset).name, labels
            return
        path = Path(str(self.labels))
        files = sorted(path.glob("*.txt")) if path.is_dir() else [path]
        if not (files and files[0].is_file()):
            raise UserError(f"no labels at {path}. Set seeds.labels= to a text file, or a folder of .txt files.")
        for file in files:
            yield self.domain or file.stem, file.name, list(labels_of_file(file))

    def _filled(self, bank: Bank, label: str, source: str) -> Iterator[Seed]:
        """The seeds of a label. Which templates are drawn depends on it and them alone, on no order."""

        def drawn(template: str) -> int:
            return xxhash.xxh3_64_intdigest(f"{self.seed}\0{bank.domain}\0{label}\0{template}".encode())

        for template in sorted(bank.templates, key=drawn)[: self.per_label]:
            text = bank.fill(template, label)
            yield Seed(id=identity_of(text, bank.domain), text=text, source=source, domain=bank.domain)


class DomainSeeds:
    """Filled templates, all in memory, by the id that their text and domain give them."""

    def __init__(self, seeds: Iterator[Seed]) -> None:
        """Raises UserError if there is none."""
        self._seeds = list({seed.id: seed for seed in seeds}.values())
        if not self._seeds:
            raise UserError("no labels: the files are empty. They have one label a line.")
        checksum = xxhash.xxh3_128()
        for seed in self._seeds:
            checksum.update(seed.id.encode())
        self.name = f"domains {checksum.hexdigest()}"
        """A checksum of the ids, and so of the texts."""

    def __len__(self) -> int:
        return len(self._seeds)

    def __iter__(self) -> Iterator[Seed]:
        return iter(self._seeds)
