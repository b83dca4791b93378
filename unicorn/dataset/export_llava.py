"""Write a dataset as JSON in the LLaVA form, which other training code reads.

    python -m unicorn.dataset.export_llava data/scenes --out data/scenes-llava

`captions.json` has a record for each caption, which answers one question; `instructions.json` one for each instruction,
under its caption's id. Both are arrays, one record a line. `unicorn.dataset.import_llava` makes the same dataset of the
two. (Parquet needs no export: captions/ and instructions/ of a dataset are Parquet.)
"""

from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from unicorn import command_line
from unicorn.dataset.llava import caption_values, instruction_values
from unicorn.dataset.manifest import Part
from unicorn.dataset.texts import Texts
from unicorn.files import replacing
from unicorn.report.progress import progress
from unicorn.report.table import facts_table, show


def export_llava(dataset: Path, out: Path) -> dict[Part, Path]:
    """Write the texts of a dataset to the folder `out`, a file for each part that is finished; returns the files.

    Memory holds a block. Raises UserError if there are no finished captions, or a file cannot be read or written.
    """
    texts = Texts.open(dataset)
    records = {Part.CAPTIONS: _captions(texts), Part.INSTRUCTIONS: _instructions(texts)}
    files: dict[Part, Path] = {}
    for part, values in records.items():
        if count := texts.count(part):
            files[part] = out / f"{part}.json"
            with progress(part, count) as advance:
                _write(files[part], values, advance)
    return files


def _captions(texts: Texts) -> Iterator[dict[str, Any]]:
    return (caption_values(caption) for block in texts.blocks() for caption in texts.captions(block))


def _instructions(texts: Texts) -> Iterator[dict[str, Any]]:
    for block in texts.blocks():
        captions = {caption.id: caption.text for caption in texts.captions(block)}
        for instruction in texts.instructions(block):
            yield instruction_values(instruction, captions[instruction.caption_id])


def _write(path: Path, records: Iterable[dict[str, Any]], advance: Callable[[int], None]) -> None:
    """An array, whole or not there."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        for number, values in enumerate(records):
            file.write(b",\n" if number else b"[\n")
            file.write(orjson.dumps(values))
            advance(1)
        file.write(b"\n]\n")


def main(arguments: Namespace) -> None:
    """Export, and say where it lies."""
    show(facts_table("Exported", {**export_llava(arguments.dataset, arguments.out)}))


if __name__ == "__main__":
    parser = command_line.parser(__doc__)
    parser.add_argument("dataset", type=Path, help="the dataset's folder")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write to")
    command_line.run(main, parser.parse_args())
