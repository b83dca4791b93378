"""A model that runs on this machine: which of it is meant, and what it is called wherever it lies."""

import os.path
import re
from dataclasses import dataclass

from unicorn.files import PACKAGE
from unicorn.llm.sampling import SamplingSettings

_ON_THE_HUB = re.compile(r"\w[\w.-]*(/[\w.-]+)?")


@dataclass(kw_only=True)
class LocalSettings(SamplingSettings):
    """What generators are told that load their model themselves."""

    revision: str = "main"
    """Of a name on the Hub: a branch, a tag or a commit."""

    def name(self, file: str | None = None) -> str:
        """The model's name on the Hub or in a package, with the `file` of it that is read.

        One that lies on the disk is called as its file, or else its folder, is: the same when it is moved.
        """
        path = os.path.abspath(os.path.expanduser(self.model))  # noqa: PTH100, PTH111  # a link keeps its own name
        named = self.model.startswith(PACKAGE) or _ON_THE_HUB.fullmatch(self.model)
        if named and not os.path.exists(path):  # noqa: PTH110
            return f"{self.model}/{file}" if file else self.model
        return os.path.basename(file or path)  # noqa: PTH119
