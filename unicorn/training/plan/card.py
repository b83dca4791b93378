"""The graphics cards that a plan knows, by their makers' data sheets."""

import re
from dataclasses import dataclass
from enum import StrEnum


class Gpu(StrEnum):
    """A graphics card."""

    h100 = "h100"
    h100_pcie = "h100_pcie"
    h100_nvl = "h100_nvl"
    h200 = "h200"
    h200_nvl = "h200_nvl"
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
    Gpu.h100_pcie: Card(name="H100 PCIe 80 GB", teraflops=756.5, gigabytes=80),
    Gpu.h100_nvl: Card(name="H100 NVL 94 GB", teraflops=835.5, gigabytes=94),
    Gpu.h200: Card(name="H200 SXM 141 GB", teraflops=989.4, gigabytes=141),
    Gpu.h200_nvl: Card(name="H200 NVL 141 GB", teraflops=835.5, gigabytes=141),
    Gpu.a100: Card(name="A100 80 GB", teraflops=312, gigabytes=80),
    Gpu.a100_40gb: Card(name="A100 40 GB", teraflops=312, gigabytes=40),
    Gpu.l40s: Card(name="L40S 48 GB", teraflops=362, gigabytes=48),
    Gpu.a10: Card(name="A10 24 GB", teraflops=125, gigabytes=24),
    Gpu.rtx4090: Card(name="RTX 4090 24 GB", teraflops=165.2, gigabytes=24),
    Gpu.rtx3090: Card(name="RTX 3090 24 GB", teraflops=71, gigabytes=24),
}


def find_card(device: str) -> Card | None:
    """The card by the name that its driver gives it, such as `NVIDIA A100-SXM4-80GB`; sizes of one are as fast.

    Drivers name a form, as in `NVIDIA H100 PCIe`, where it is not SXM, whose cards are the fastest.
    """
    models = {m[0]: card for card in CARDS.values() if (m := re.match(r"(RTX )?\w+( PCIe| NVL)?", card.name))}
    found = [model for model in models if re.search(rf"\b{model}\b", device)]
    return models[max(found, key=len)] if found else None
