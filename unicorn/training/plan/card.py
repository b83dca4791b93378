"""The graphics cards that a plan knows, by their makers' data sheets."""

import re
from dataclasses import dataclass
from enum import StrEnum


class Gpu(StrEnum):
    """A graphics card."""

    h100 = "h100"
    h200 = "h200"
    a100 = "a100"
    a100_40gb = "a100_40gb"
    l40s = "l40s"
    a10 = "a10"
    rtx4090 = "rtx4090"
    rtx3090 = "rtx3090"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What bounds a training on it."""

    name: str
    teraflops: float
    """Dense bf16 matrix products with float32 sums, 1e12 operations a second at most."""
    gigabytes: float
    """Memory, in 1e9 bytes."""


CARDS = {
    Gpu.h100: Card(name="H100 SXM 80 GB", teraflops=989.4, gigabytes=80),
    Gpu.h200: Card(name="H200 SXM 141 GB", teraflops=989.4, gigabytes=141),
    Gpu.a100: Card(name="A100 80 GB", teraflops=312, gigabytes=80),
    Gpu.a100_40gb: Card(name="A100 40 GB", teraflops=312, gigabytes=40),
    Gpu.l40s: Card(name="L40S 48 GB", teraflops=362, gigabytes=48),
    Gpu.a10: Card(name="A10 24 GB", teraflops=125, gigabytes=24),
    Gpu.rtx4090: Card(name="RTX 4090 24 GB", teraflops=165.2, gigabytes=24),
    Gpu.rtx3090: Card(name="RTX 3090 24 GB", teraflops=71, gigabytes=24),
}


def find_card(device: str) -> Card | None:
    """The card by the name that its driver gives it, such as `NVIDIA A100-SXM4-80GB`; sizes of one are as fast."""
    for card in CARDS.values():
        model = re.match(r"(RTX )?\w+", card.name)
        if model and re.search(rf"\b{model[0]}\b", device):
            return card
    return None
