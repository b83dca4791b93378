"""The transfers under which two sides are looked at: all that they allow, fitted to the very vectors at hand."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from unicorn.transfer.c3 import C3Settings
from unicorn.transfer.close import CloseSettings
from unicorn.transfer.domain_mean_shift import DomainMeanShiftSettings
from unicorn.transfer.mean_shift import MeanShift, MeanShiftSettings
from unicorn.transfer.mean_shift_noise import MeanShiftNoiseSettings
from unicorn.transfer.none import NoTransferSettings
from unicorn.transfer.realign import ReAlign, ReAlignSettings
from unicorn.transfer.statistics import Statistics
from unicorn.transfer.transfer import Transfer, TransferSettings

NONE = "none"
NOISY = ("c3", "close", "mean_shift_noise")
OF_SPREAD = ("mean_shift", "mean_shift_unnormalised", "c3", "mean_shift_noise", "realign", "domain_mean_shift")
"""Those that leave nothing, or nothing but noise, of a side without spread."""


def transfer_name(transfer: Transfer | TransferSettings) -> str:
    """Its name in conf/transfer/; mean shift is told from that without normalisation."""
    name = type(transfer).__module__.rpartition(".")[2]
    bare = isinstance(transfer, MeanShift | MeanShiftSettings) and not transfer.normalise
    return f"{name}_unnormalised" if bare else name


def fit_all(
    asked: Transfer | TransferSettings,
    text: Statistics,
    image: Statistics,
    chunks: Callable[[], Iterable[Float[np.ndarray, "n d"]]],
) -> tuple[dict[str, Transfer], dict[str, str]]:
    """Transfers by name, the raw space first, and those that are left out, with the reason.

    The one that is asked for takes the place of that of its name: a run's as it was trained, settings fitted to the
    vectors at hand as the defaults are. ReAlign takes the statistics of the images at hand, too.
    """
    settings: dict[str, TransferSettings] = {
        NONE: NoTransferSettings(),
        "mean_shift": MeanShiftSettings(),
        "mean_shift_unnormalised": MeanShiftSettings(normalise=False),
        "c3": C3Settings(),
        "close": CloseSettings(),
        "mean_shift_noise": MeanShiftNoiseSettings(),
        "realign": ReAlignSettings(),
        "domain_mean_shift": DomainMeanShiftSettings(),
    }
    trained = dict[str, Transfer]()
    if isinstance(asked, TransferSettings):
        settings[transfer_name(asked)] = asked
    else:
        trained[transfer_name(asked)] = asked
    left_out = _left_out(text, image)
    transfers = dict[str, Transfer]()
    for name, setting in settings.items():
        if name in trained or name in left_out:
            continue
        of_images = isinstance(setting, ReAlignSettings)
        images = replace(image, space=text.space)
        transfers[name] = ReAlign.onto(images, text, chunks()) if of_images else setting.fit(text, chunks())
    return transfers | trained, {name: why for name, why in left_out.items() if name not in trained}


def _left_out(text: Statistics, image: Statistics) -> dict[str, str]:
    """Of each transfer that these vectors do not allow, why."""
    reasons = dict[str, str]()
    if len(text.domain_mean) < 2:
        reasons["domain_mean_shift"] = "needs two domains"
    for side, statistics in (("texts", text), ("images", image)):
        if statistics.trace == 0:
            reasons |= dict.fromkeys(OF_SPREAD, f"needs {side} that differ")
    return reasons
