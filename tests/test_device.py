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


@pytest.mark.parametrize(
    ("variables", "seen", "index"),
    [
        ({}, 8, 0),
        ({"LOCAL_RANK": "3"}, 8, 3),
        ({"SLURM_LOCALID": "5"}, 8, 5),
        ({"SLURM_LOCALID": "5"}, 1, 0),  # where Slurm shows each task its own alone
    ],
)
def test_auto_is_the_accelerator_of_this_rank(
    variables: dict[str, str], seen: int, index: int, monkeypatch: pytest.MonkeyPatch
):
    for name in ("LOCAL_RANK", "SLURM_LOCALID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: seen)
    assert choose_device("auto") == torch.device("cuda", index)
