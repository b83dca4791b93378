"""Stage 3: text vectors -> image-like vectors; both sides of every shift, and the statistics they rest on."""

from unicorn.transfer.fitted import FittedTransfer, load_transfer
from unicorn.transfer.statistics import Statistics
from unicorn.transfer.transfer import ImageCentring, NoiseKey, Transfer, TransferSettings

__all__ = [
    "FittedTransfer",
    "ImageCentring",
    "NoiseKey",
    "Statistics",
    "Transfer",
    "TransferSettings",
    "load_transfer",
]
