"""The commands of a page of docs/, as they stand there."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parent.parent


def commands(page: str, program: str) -> list[list[str]]:
    """What follows `program` in the indented lines of a page that begin with it; a backslash joins two lines."""
    text = (ROOT / "docs" / page).read_text().replace("\\\n", " ")
    return [shlex.split(line) for line in re.findall(rf"^    {re.escape(program)} (.*)$", text, re.MULTILINE)]
