"""What a command left, byte for byte but for place and clock, so that two runs of it can be compared."""

import csv
import json
import re
from pathlib import Path

TOLD_BY_CLOCK = ("tokens_per_second", "samples_per_second", "data_wait", "memory_gb")

TIMED_TABLE = re.compile(
    rb"<table[^>]*>\s*<thead><tr><th>(?:of a step, median|stage, over all runs).*?</table>", re.DOTALL
)


def contents(folder: Path, name: Path | None = None) -> dict[str, object]:
    """Every file of a folder but its lock, by its path; of numbers and what seals them, all but what a clock said.

    The folder's name, which is `name` where the command knew it by another, is left out of all.
    """
    return {
        path.relative_to(folder).as_posix(): _content(path, name or folder)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def _content(path: Path, name: Path) -> object:
    match path.name:
        case "metrics.json":
            numbers = json.loads(path.read_text())
            return {
                key: value for key, value in numbers.items() if "seconds" not in key and not key.startswith("usage/")
            }
        case "metrics.csv":
            with path.open(newline="") as file:
                return [
                    {key: value for key, value in row.items() if key not in TOLD_BY_CLOCK}
                    for row in csv.DictReader(file)
                ]
        case "stage.json":
            values = json.loads(path.read_text())
            del values["files"]["metrics.json"], values["xxh3_128"]
            return values
        case "report.html":
            page = path.read_bytes().replace(bytes(name), b"FOLDER")
            return TIMED_TABLE.sub(b"", page)
        case _:
            return path.read_bytes().replace(bytes(name), b"FOLDER")
