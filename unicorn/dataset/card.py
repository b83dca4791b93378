"""The dataset card: what `datasets`, the Hub and a person read first."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import yaml

from unicorn.dataset.manifest import Manifest, Part
from unicorn.dataset.texts import Texts
from unicorn.errors import in_a_line
from unicorn.files import replacing
from unicorn.records import Caption, Instruction, Task
from unicorn.report.metrics import METRICS, read_metrics
from unicorn.report.table import flat_rows, markdown_table

CARD_NAME = "README.md"
REPORT = "report"
"""The folder, in that of a dataset, in which its report lies."""
_FRONT = re.compile(r"---\n(.*?)^---$", re.DOTALL | re.MULTILINE)
CARD = """\
---
{metadata}---
# Captions and instructions for training without images

{parts}
{measured}
Made by [Unicorn](https://arxiv.org/abs/2503.22655) from text alone. `manifest.json` says what made each part,
and holds the checksum of every file; `rejects/` holds what was turned away, with the reason. An instruction
points at its caption by `caption_id`; row i of the embeddings is the vector of row i of the captions.

    datasets.load_dataset("{address}", "captions")          # or "instructions"
    datasets.Dataset.from_file("FOLDER/embeddings/embeddings-00000.arrow")

## What made it
{made_by}{examples}{licence}"""
SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B", "1B<n<10B")


_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Licence:
    """Under what terms others may use a dataset, as the Hub's fields say it; a name and a link go with "other"."""

    license: str | None = None
    license_name: str | None = None
    license_link: str | None = None

    @classmethod
    def of_card(cls, path: Path) -> Self:
        """The one in the metadata of a card; none if there is no such card."""
        front = _FRONT.match(path.read_text(encoding="utf-8")) if path.exists() else None
        try:
            told = yaml.safe_load(front[1]) if front else None
        except yaml.YAMLError as error:
            _log.warning("%s: its metadata cannot be read (%s), and a licence in it is lost", path, in_a_line(error))
            told = None
        told = told if isinstance(told, dict) else {}
        return cls(**{item.name: told.get(item.name) for item in fields(cls)})

    @property
    def fields(self) -> dict[str, str]:
        """Those that say something."""
        return {key: value for key, value in vars(self).items() if value}


@dataclass(frozen=True, kw_only=True)
class Details:
    """What a card says where it is known: numbers of the report, an example of each part, an address, a licence."""

    measured: Mapping[str, float] = field(default_factory=dict[str, float])
    caption: Caption | None = None
    instruction: Instruction | None = None
    address: str = "FOLDER"
    licence: Licence = field(default_factory=Licence)


BARE = Details()


def describe(texts: Texts, *, address: str = "FOLDER", licence: Licence | None = None) -> Details:
    """What the card says: the first caption, the first instruction, and what the report has measured, if of these."""
    caption = next((each for block in texts.blocks() for each in texts.captions(block)), None)
    instruction = next((each for block in texts.blocks() for each in texts.instructions(block)), None)
    measured = read_metrics(texts.path / REPORT) if (texts.path / REPORT / METRICS).exists() else {}
    if any(measured.get(part, 0) != (texts.count(part) or 0) for part in (Part.CAPTIONS, Part.INSTRUCTIONS)):
        measured = {}  # an earlier dataset's
    return Details(
        measured=measured,
        caption=caption,
        instruction=instruction,
        address=address,
        licence=licence or Licence(),
    )


def save_card(folder: Path, manifest: Manifest, details: Details = BARE) -> None:
    """Write `README.md`, with one `datasets` config for each finished part that is Parquet.

    Where the details name no licence, that of the card which was there stays.
    """
    licence = details.licence if details.licence.fields else Licence.of_card(folder / CARD_NAME)
    complete = [part for part in Part if part in manifest.parts and manifest.parts[part].complete]
    texts = [part for part in complete if part is not Part.EMBEDDINGS]
    counts = {part: manifest.parts[part].rows for part in complete}
    metadata: dict[str, Any] = {
        "configs": [{"config_name": part.value, "data_files": f"{part}/*.parquet"} for part in texts],
        **licence.fields,
        "size_categories": [_size(counts.get(Part.CAPTIONS, 0))],
        "tags": ["unicorn", "synthetic", "text-only-training"],
    }
    # Sorted, since a manifest that was read has them in another order than one that is being made.
    made_by = [row for part in complete for row in sorted(flat_rows({part: manifest.parts[part].made_by}))]
    card = CARD.format(
        metadata=yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True),
        parts=markdown_table(("part", "rows"), list(counts.items())),
        measured=_measured(details.measured),
        address=details.address,
        made_by=markdown_table(("", ""), [[key, _cell(value)] for key, value in made_by]),
        examples=_examples(details),
        licence=_licence(licence),
    )
    with replacing(folder / CARD_NAME) as path:
        path.write_text(card, encoding="utf-8")


def _size(rows: int) -> str:
    """The Hub's word for so many rows."""
    return SIZES[max(len(str(rows)) - 3, 0)]


def _measured(numbers: Mapping[str, float]) -> str:
    """Lengths and the mix of tasks."""
    if "captions/words/mean" not in numbers:
        return ""
    low, mean, high = (numbers[f"captions/words/{key}"] for key in ("min", "mean", "max"))
    words = f"The captions have {low:,.0f} to {high:,.0f} words, {mean:.1f} on average. `report/` has more numbers.\n"
    tasks = {task: int(numbers.get(f"instructions/task/{task}", 0)) for task in Task}
    if not any(tasks.values()):
        return words
    return f"{words}\n{markdown_table(('task', 'instructions'), list(tasks.items()))}"


def _examples(details: Details) -> str:
    shown = ""
    if details.caption:
        shown += f"\n## A caption\n{_quoted(details.caption.text)}"
    if details.instruction:
        rows = [[message.role, _cell(message.content)] for message in details.instruction.messages]
        shown += f"\n## An instruction: {details.instruction.task.replace('_', ' ')}\n{markdown_table(('', ''), rows)}"
    return shown


def _licence(licence: Licence) -> str:
    if not licence.fields:
        return ""
    said = licence.license_name or licence.license
    link = f" ({licence.license_link})" if licence.license_link else ""
    return f"\n## Licence\n{said}{link}. The terms of the seeds, and of the model that wrote from them, hold as well.\n"


def _quoted(text: str) -> str:
    return "".join(f"> {line}\n" for line in text.splitlines())


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", "<br>")
