"""Devices by their names."""

import pytest
import torch

from unicorn.device import choose_device
from unicorn.errors import UserError


def test_auto_is_a_device_that_is_there():
    assert torch.zeros(1, device=choose_device("auto")).item() == 0
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["tpu9", "cuda:99"])
def test_a_device_that_is_not_there_is_named(name: str):
    with pytest.raises(UserError, match=rf"^no device {name} here: .* Set device to auto, cpu"):
        choose_device(name)
