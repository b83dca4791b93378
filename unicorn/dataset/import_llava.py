"""Make a dataset of JSON in the LLaVA form, that of the published Unicorn data.

    python -m unicorn.dataset.import_llava Unicorn-1.2M.json Unicorn-Instruction-471K.json --dataset data/unicorn
    python synthesize.py dataset=data/unicorn stages=[embeddings] encoder=llm2clip

Each file is an array of records, or holds one a line. The first record of an id brings its caption. A conversation is
an instruction of the caption under its id, unless all that it says is the caption; pictures are not looked at. The task
is that of --task, or the record's own, or it is guessed: multiple choice where every question lists options A, B, ...
and every answer begins with a letter of them, complex reasoning from 25 words an answer on, question answering
otherwise. What cannot be read is told in rejects/, by file and place. Killed, it goes on from where it was.
"""

import json
from argparse import Namespace
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xxhash

from unicorn import command_line
from unicorn.dataset.json_records import read_records
from unicorn.dataset.llava import LlavaRecord, Reason, Unreadable, guess_task
from unicorn.dataset.manifest import Part
from unicorn.dataset.spill import Spill
from unicorn.dataset.writer import CaptionWriter, DatasetWriter
from unicorn.errors import UserError
from unicorn.records import Caption, Instruction, Message, Reject, Task
from unicorn.report.progress import progress
from unicorn.report.table import facts_table, numbers_table, show
from unicorn.stamp import Stamp

HOPELESS = 1000
"""Records at the beginning of a file of which none can be read, after which no more is tried."""
SHOWN = 2000  # letters of a rejected record that are kept


@dataclass(frozen=True, kw_only=True)
class Imported:
    """Counts over the whole dataset; `rejected` by part and reason."""

    captions: int
    instructions: int
    rejected: dict[Part, Counter[str]]


def import_llava(
    files: Sequence[Path], folder: Path, *, domain: str = "open", task: Task | None = None, block_size: int = 16384
) -> Imported:
    """Write the captions and the instructions of `files`, read in their order, to the dataset `folder`; resumes.

    Memory holds a block and some 150 bytes for each id. Raises UserError if a file is missing, is not JSON, or has
    nothing to read in it, or if the folder holds what was made of something else.
    """
    for file in files:
        if not file.is_file():
            raise UserError(f"no file at {file} to be imported. Name JSON files in the LLaVA form.")
    source = {"imported": [f"{file.name} {Stamp.of(file).xxh3_128}" for file in files]}
    with DatasetWriter(folder, block_size) as writer, Spill(folder / "importing") as spill:
        captions = _Captions(writer.captions(source | {"domain": domain}), block_size, domain)
        reader = _Reader(captions, spill, task)
        with progress("records", note=lambda: f"{reader.rejected:,} rejected") as advance:
            for file in files:
                _read(file, reader, advance)
        spill.tell(Part.CAPTIONS, folder)
        captions.finish()
        rejected = {Part.CAPTIONS: spill.rejected[Part.CAPTIONS]}
        count = 0
        if not spill.empty:
            part = writer.instructions(source | {"task": task or "named or guessed"})
            spill.tell(Part.INSTRUCTIONS, folder)
            for block in captions.part.blocks:
                if not part.finished(block):
                    part.write(block, spill.take(block))
            part.complete(len(captions.part.blocks))
            count, rejected[Part.INSTRUCTIONS] = part.rows, spill.rejected[Part.INSTRUCTIONS]
    return Imported(captions=captions.part.rows, instructions=count, rejected=rejected)


def _read(file: Path, reader: "_Reader", advance: Callable[[int], None]) -> None:
    """Every record of a file. Raises UserError where none of the first is of any use."""
    before = reader.used
    number = 0
    for number, (place, values) in enumerate(read_records(file), start=1):
        reader.take(f"{file.name}, {place}", values)
        advance(1)
        if number == HOPELESS and reader.used == before:
            break
    if reader.used == before:
        why = f"its first {number:,} records are all rejected, the last for: {reader.why}" if number else "it is empty"
        raise UserError(f"nothing in {file} can be imported: {why}. It should be JSON in the LLaVA form.")


class _Captions:
    """The captions in the order in which their ids first come, written block by block; later ones are told by id."""

    def __init__(self, part: CaptionWriter, block_size: int, domain: str) -> None:
        self.part = part
        self._size = block_size
        self._domain = domain
        self._rows: dict[str, int] = {}
        self._digests = array("Q")  # of the texts, by row
        self._block: list[Caption] = []

    def row(self, record: LlavaRecord) -> tuple[int, bool]:
        """The row of a record's caption, and whether the record brought it. Raises Unreadable."""
        row = self._rows.get(record.id)
        digest = None if record.caption is None else xxhash.xxh3_64_intdigest(record.caption.encode())
        if row is not None:
            if digest not in (None, self._digests[row]):
                raise Unreadable(Reason.OTHER_CAPTION)
            return row, False
        if record.caption is None or digest is None:
            raise Unreadable(Reason.NO_CAPTION)
        if len(self._block) == self._size:  # not before there is more, so that no block is empty
            self._write()
        row = self._rows[record.id] = len(self._rows)
        self._digests.append(digest)
        self._block.append(record.to_caption(record.caption, self._domain))
        return row, True

    def block_of(self, row: int) -> int:
        return row // self._size

    def _write(self) -> None:
        block = self.block_of(len(self._rows) - 1)
        if not self.part.finished(block):
            self.part.write(block, self._block)
        self._block = []

    def finish(self) -> None:
        """Write the last block."""
        self._write()
        self.part.complete(self.block_of(len(self._rows) - 1) + 1)


class _Reader:
    """Deals with one record after the other."""

    def __init__(self, captions: _Captions, spill: Spill, task: Task | None) -> None:
        self._captions = captions
        self._spill = spill
        self._task = task
        self.rejected = 0
        self.used = 0  # records that brought a caption or an instruction
        self.why = ""

    def take(self, place: str, values: Any) -> None:
        """Read a record, or reject it or its conversation."""
        try:
            record = LlavaRecord.of(values)
            row, new = self._captions.row(record)
        except Unreadable as unreadable:
            self._reject(Part.CAPTIONS, unreadable.reason, place, values)
            return
        block = self._captions.block_of(row)
        self.used += new
        try:
            messages = tuple(Message(role=role, content=text) for role, text in record.turns)
        except Unreadable as unreadable:
            self._reject(Part.INSTRUCTIONS, unreadable.reason, place, values)
            return
        if messages:
            self.used += not new
            task = self._task or record.task or guess_task(messages)
            name = f"{record.id}/{task}"
            self._spill.add(block, row, Instruction(id=name, caption_id=record.id, task=task, messages=messages))
        elif not new:
            self._reject(Part.CAPTIONS, Reason.REPEATED, place, values)

    def _reject(self, part: Part, reason: Reason, place: str, values: Any) -> None:
        self.rejected += 1
        self.why = reason
        shown = json.dumps(values, ensure_ascii=False)[:SHOWN]
        reject = Reject(id=place, stage=part, reason=reason, attempts=1, answer=shown)
        self._spill.reject(part, reject)


def main(arguments: Namespace) -> None:
    """Import, and say what came of it."""
    task = Task(arguments.task) if arguments.task else None
    made = import_llava(arguments.files, arguments.dataset, domain=arguments.domain, task=task)
    rejects = [
        [f"{part}: {reason}", count] for part, reasons in made.rejected.items() for reason, count in reasons.items()
    ]
    facts = {"dataset": arguments.dataset, "captions": made.captions, "instructions": made.instructions}
    show(*([numbers_table("Rejected", ("", "records"), rejects)] if rejects else []), facts_table("Imported", facts))


if __name__ == "__main__":
    parser = command_line.parser(__doc__)
    parser.add_argument("files", type=Path, nargs="+", help="JSON; first that of the captions, then the instructions")
    parser.add_argument("--dataset", type=Path, required=True, help="the dataset's folder, to be made")
    parser.add_argument("--domain", default="open", help="of captions that name none (open)")
    parser.add_argument("--task", choices=[task.value for task in Task], help="of all conversations")
    command_line.run(main, parser.parse_args())
