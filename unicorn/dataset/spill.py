"""What an import reads, in files: instructions until the block of their caption is written, and what is turned away."""

import shutil
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

import orjson

from unicorn.dataset.manifest import Part
from unicorn.files import cannot_write, make_folder, replacing
from unicorn.records import Instruction, Reject

_HELD_BYTES = 32 << 20  # before they are put down


class Spill:
    """Instructions by block, and what was turned away by part; memory holds little of either."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: defaultdict[Path, list[bytes]] = defaultdict(list)
        self._bytes = 0
        self._instructions = 0
        self.rejected: defaultdict[Part, Counter[str]] = defaultdict(Counter)
        """What was turned away, counted by part and reason."""

    def __enter__(self) -> Self:
        shutil.rmtree(self._folder, ignore_errors=True)  # what a run that was killed has left
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def empty(self) -> bool:
        """Whether there has been no instruction, good or bad."""
        return not (self._instructions or self.rejected[Part.INSTRUCTIONS])

    def add(self, block: int, row: int, instruction: Instruction) -> None:
        """Keep an instruction for the block and the row of its caption."""
        self._instructions += 1
        self._hold(self._path(block), {"row": row, "instruction": instruction.to_dict()})

    def reject(self, part: Part, reject: Reject) -> None:
        """Keep what was turned away."""
        self.rejected[part][reject.reason] += 1
        self._hold(self._folder / imported_rejects(part), asdict(reject))

    def _hold(self, path: Path, values: dict[str, Any]) -> None:
        line = orjson.dumps(values, option=orjson.OPT_APPEND_NEWLINE)
        self._held[path].append(line)
        self._bytes += len(line)
        if self._bytes > _HELD_BYTES:
            self._spill()

    def _spill(self) -> None:
        make_folder(self._folder)
        for path, lines in self._held.items():
            try:
                with path.open("ab") as file:
                    file.writelines(lines)
            except OSError as error:
                raise cannot_write(path, error) from error
        self._held.clear()
        self._bytes = 0

    def take(self, block: int) -> list[Instruction]:
        """The instructions of a block in the order of their captions, a number behind an id that comes again."""
        self._spill()
        path = self._path(block)
        lines = path.read_bytes().splitlines() if path.exists() else ()
        rows = sorted(map(orjson.loads, lines), key=lambda values: values["row"])
        return _numbered([Instruction.from_dict(values["instruction"]) for values in rows])

    def tell(self, part: Part, dataset: Path) -> None:
        """Move what was turned away of a part to the rejects of the dataset, in place of what an earlier run told."""
        name = imported_rejects(part)
        path = dataset / "rejects" / name
        if not self.rejected[part]:
            path.unlink(missing_ok=True)
            return
        self._spill()
        with replacing(path) as temporary:
            (self._folder / name).replace(temporary)

    def _path(self, block: int) -> Path:
        return self._folder / f"{block:05d}.jsonl"


def imported_rejects(part: Part) -> str:
    """The file, in `rejects/`, of what an import has turned away of a part."""
    return f"{part}-imported.jsonl"


def _numbered(instructions: Sequence[Instruction]) -> list[Instruction]:
    times: Counter[str] = Counter()
    numbered: list[Instruction] = []
    for each in instructions:
        times[each.id] += 1
        again = times[each.id]
        numbered.append(each if again == 1 else replace(each, id=f"{each.id}/{again}"))
    return numbered
