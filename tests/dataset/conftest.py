"""The example dataset: written once, copied for whoever wants to damage it."""

import shutil
from pathlib import Path

import pytest

from tests.dataset import example


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the example dataset; not to be changed."""
    folder = tmp_path_factory.mktemp("dataset") / "example"
    example.write(folder)
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """A copy of the example dataset."""
    return Path(shutil.copytree(finished, tmp_path / "example"))
