"""Seeds from files of captions."""

from dataclasses import dataclass, field
from glob import escape, glob
from os.path import commonpath
from pathlib import Path

from unicorn.errors import UserError
from unicorn.seeds.columns import Columns
from unicorn.seeds.corpus import Corpus
from unicorn.seeds.filter import FilterSettings
from unicorn.seeds.formats import Format, open_file

_SUFFIXES = {suffix: kind for kind in Format for suffix in kind.value}


@dataclass(kw_only=True)
class FilesSettings:
    """`path` of a file, of a folder of them, or a pattern such as captions/*.parquet.

    A file is what its suffix says, unless `format` does; `domain` is that of the rows that name none. CSV and TSV
    without a `header` have columns by the names 1, 2, ...
    """

    path: str
    format: Format | None = None
    columns: Columns = field(default_factory=Columns)
    domain: str = "open"
    header: bool = True
    filter: FilterSettings = field(default_factory=FilterSettings)

    def build(self) -> Corpus:
        """Read and check the files once. Raises UserError naming, without a filter, the first bad row."""
        paths = self._paths()
        above = commonpath([path.parent for path in paths])
        files = [
            open_file(path, str(path.relative_to(above)), self._kind(path), self.columns, self.header) for path in paths
        ]
        return Corpus(Path(self.path).name, files, self.domain, self.filter.build())

    def _kind(self, path: Path) -> Format:
        kind = self.format or _SUFFIXES.get(path.suffix.lower())
        if kind is None:
            known = ", ".join(kind.name for kind in Format)
            raise UserError(f"what {path} is cannot be told by its suffix. Set seeds.format= to one of {known}.")
        return kind

    def _paths(self) -> list[Path]:
        """The files, in the order of their names."""
        path = Path(self.path)
        pattern, suffixes = self.path, None
        if path.is_file():
            return [path]
        if path.is_dir():
            pattern, suffixes = f"{escape(self.path)}/**/*", self.format.value if self.format else (*_SUFFIXES,)
        found = sorted(map(Path, glob(pattern, recursive=True)))  # noqa: PTH207  # it leaves out what begins with a dot
        files = [each for each in found if each.is_file() and (not suffixes or each.suffix.lower() in suffixes)]
        if not files:
            raise UserError(
                f"no seeds at {path}: no such file. Set seeds.path to a file of captions ({', '.join(_SUFFIXES)}), "
                "a folder of them, or a pattern such as captions/*.parquet."
            )
        return files
