"""Instructions that are read in any order, and wait for the block of their caption to be written."""

import shutil
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

import orjson

from unicorn.files import cannot_write, make_folder
from unicorn.records import Instruction, Reject

_HELD_BYTES = 32 << 20  # before they are put down


class Waiting:
    """Instructions, and those rejected, until the block of their caption is written: in files, one a block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: defaultdict[int, list[bytes]] = defaultdict(list)
        self._bytes = 0
        self.empty = True

    def __enter__(self) -> Self:
        shutil.rmtree(self._folder, ignore_errors=True)  # what a run that was killed has left
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, block: int, row: int, instruction: Instruction) -> None:
        """Keep an instruction for the block and the row of its caption."""
        self._hold(block, {"row": row, "instruction": instruction.to_dict()})

    def reject(self, block: int, reject: Reject) -> None:
        """Keep what was turned away for the block of its caption."""
        self._hold(block, {"reject": asdict(reject)})

    def _hold(self, block: int, values: dict[str, Any]) -> None:
        line = orjson.dumps(values, option=orjson.OPT_APPEND_NEWLINE)
        self._held[block].append(line)
        self._bytes += len(line)
        self.empty = False
        if self._bytes > _HELD_BYTES:
            self._put_down()

    def _put_down(self) -> None:
        make_folder(self._folder)
        for block, lines in self._held.items():
            path = self._path(block)
            try:
                with path.open("ab") as file:
                    file.writelines(lines)
            except OSError as error:
                raise cannot_write(path, error) from error
        self._held.clear()
        self._bytes = 0

    def take(self, block: int) -> tuple[list[Instruction], list[Reject]]:
        """The instructions of a block in the order of their captions, a number behind an id that comes again."""
        self._put_down()
        rows: list[tuple[int, Instruction]] = []
        rejects: list[Reject] = []
        path = self._path(block)
        for line in path.read_bytes().splitlines() if path.exists() else ():
            values = orjson.loads(line)
            if "reject" in values:
                rejects.append(Reject(**values["reject"]))
            else:
                rows.append((values["row"], Instruction.from_dict(values["instruction"])))
        rows.sort(key=lambda each: each[0])
        return _numbered([instruction for _, instruction in rows]), rejects

    def _path(self, block: int) -> Path:
        return self._folder / f"{block:05d}.jsonl"


def _numbered(instructions: Sequence[Instruction]) -> list[Instruction]:
    times: Counter[str] = Counter()
    numbered: list[Instruction] = []
    for each in instructions:
        times[each.id] += 1
        again = times[each.id]
        numbered.append(each if again == 1 else replace(each, id=f"{each.id}/{again}"))
    return numbered
