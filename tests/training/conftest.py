"""One dataset and one language model for all tests of a file; every test names its own run."""

import pytest

from tests.training.tiny import Training


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Training:
    return Training(tmp_path_factory.mktemp("training"))
