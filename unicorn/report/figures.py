"""Charts as PNG, drawn without a display. matplotlib is loaded by the first of them."""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Real

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

INK = "#1f2933"
GREY = "#9aa5b1"
ACCENT = "#3b6fb6"
COLOURS = (
    "#d9822b",
    "#3b6fb6",
    "#2f9e6e",
    "#b04a8f",
    "#6b7280",
    "#c23b3b",
)  # told apart by colour-blind eyes too
MARKED = 60
MARKS = (("s", 34), ("o", 38), ("^", 38))  # shape and area in square points


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A finished figure: the file's name without its ending, what it shows in a sentence, and the picture."""

    name: str
    caption: str
    png: bytes


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A bar with its interval, and values to compare it with."""

    label: str
    value: float
    low: float
    high: float
    references: Mapping[str, float] = field(default_factory=dict[str, float])


def bar_chart(name: str, caption: str, bars: Sequence[Bar], axis: str) -> Figure:
    """Horizontal bars from 0 to 1, each with its interval and its references as marks."""
    canvas, axes = _axes(8.4, 0.42 * len(bars) + 1.3)
    rows = np.arange(len(bars))[::-1]
    values = np.array([bar.value for bar in bars])
    low, high = np.array([bar.low for bar in bars]), np.array([bar.high for bar in bars])
    axes.barh(rows, values, height=0.62, color=ACCENT, alpha=0.85)
    axes.errorbar(values, rows, xerr=(values - low, high - values), fmt="none", ecolor=INK, elinewidth=1.2, capsize=3)
    references = list(bars[0].references)
    for reference, (marker, size) in zip(references, MARKS, strict=False):
        marked = [bar.references[reference] for bar in bars]
        axes.scatter(marked, rows, marker=marker, s=size, facecolors="white", edgecolors=INK, label=reference, zorder=3)
    for bar, row in zip(bars, rows, strict=True):
        axes.text(1.02, row, f"{bar.value:.3f}", va="center", color=INK, transform=axes.get_yaxis_transform())
    axes.set_yticks(rows, [bar.label for bar in bars])
    axes.set_xlim(0, 1)
    axes.set_xlabel(axis)
    axes.xaxis.grid(visible=True, color="#e4e7eb", zorder=0)
    axes.set_axisbelow(True)
    if references:
        canvas.legend(loc="outside upper left", ncols=4, frameon=False)
    return _finish(canvas, name, caption)


def shares(name: str, caption: str, counts: Mapping[str, float]) -> Figure:
    """What part of the whole each has, in horizontal bars, in the order given."""
    canvas, axes = _axes(6.6, 0.34 * len(counts) + 0.9)
    rows = np.arange(len(counts))[::-1]
    parts = np.array(list(counts.values())) / sum(counts.values())
    axes.barh(rows, parts, height=0.62, color=ACCENT, alpha=0.85)
    for row, part in zip(rows, parts, strict=True):
        axes.text(part, row, f" {part:.1%}", va="center", color=INK)
    axes.set_yticks(rows, list(counts))
    axes.set_xlim(0, 1.12 * float(parts.max()))
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    return _finish(canvas, name, caption)


def scatter(name: str, caption: str, groups: Mapping[str, Float[np.ndarray, "n 2"]]) -> Figure:
    """Points of the plane in groups, one colour each; the axes have no unit and no ticks."""
    canvas, axes = _axes(6.6, 5.4)
    for (label, points), colour in zip(groups.items(), COLOURS, strict=False):
        axes.scatter(points[:, 0], points[:, 1], s=9, color=colour, alpha=0.6, linewidths=0, label=label)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[["left", "bottom"]].set_visible(False)
    canvas.legend(loc="outside upper left", ncols=len(groups), frameon=False, markerscale=2.5, handletextpad=0.2)
    return _finish(canvas, name, caption)


def log_lines(
    name: str, caption: str, curves: Mapping[str, Float[np.ndarray, " n"]], *, across: str, up: str
) -> Figure:
    """Curves of positive numbers over the ranks from 1, on a logarithmic scale, one colour each."""
    canvas, axes = _axes(6.6, 4.0)
    for (label, curve), colour in zip(curves.items(), COLOURS, strict=False):
        axes.plot(np.arange(1, len(curve) + 1), curve, color=colour, label=label)
    axes.set_yscale("log")
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    canvas.legend(loc="outside upper left", ncols=len(curves), frameon=False)
    return _finish(canvas, name, caption)


def histogram(name: str, caption: str, samples: Mapping[str, Real[np.ndarray, " n"]], *, across: str) -> Figure:
    """How often each value comes, in shares of the sample, one colour each."""
    canvas, axes = _axes(6.6, 3.6)
    low = min(float(sample.min()) for sample in samples.values())
    high = max(float(sample.max()) for sample in samples.values())
    edges = np.linspace(low, max(high, low + 1e-6), 61)
    if all(np.issubdtype(sample.dtype, np.integer) for sample in samples.values()):
        step = math.ceil((high - low + 1) / 60)  # so that each bar stands for as many whole numbers
        edges = np.arange(low, high + step + 1, step) - 0.5
    for (label, sample), colour in zip(samples.items(), COLOURS, strict=False):
        shares = np.histogram(sample, edges)[0] / len(sample)
        axes.stairs(shares, edges, fill=True, color=colour, alpha=0.5, label=label)
    axes.set_xlabel(across)
    axes.set_ylabel("share")
    canvas.legend(loc="outside upper left", ncols=len(samples), frameon=False)
    return _finish(canvas, name, caption)


def heat_map(
    name: str,
    caption: str,
    labels: Sequence[str],
    matrix: Float[np.ndarray, "n m"],
    columns: Sequence[str] | None = None,
) -> Figure:
    """A table of numbers between -1 and 1, each written into its cell; columns have the rows' labels or their own."""
    columns = labels if columns is None else columns
    canvas, axes = _axes(2.4 + 0.62 * len(columns), 1.6 + 0.62 * len(labels))
    axes.imshow(matrix, cmap="RdBu", vmin=-1, vmax=1)
    for row, column in np.ndindex(matrix.shape):
        value = matrix[row, column]
        ink = "white" if abs(value) > 0.6 else INK
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=8)
    axes.set_xticks(range(len(columns)), columns, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    return _finish(canvas, name, caption)


def curves(
    name: str,
    caption: str,
    series: Mapping[str, Mapping[int, float]],
    *,
    across: str,
    up: str,
) -> Figure:
    """Numbers by step, one colour each; those of few steps are marked."""
    canvas, axes = _axes(8.4, 4.0)
    for (label, numbers), colour in zip(series.items(), COLOURS, strict=False):
        few = len(numbers) <= MARKED
        axes.plot(list(numbers), list(numbers.values()), "o-" if few else "-", ms=4, lw=1.2, color=colour, label=label)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.yaxis.grid(visible=True, color="#e4e7eb", zorder=0)
    axes.set_axisbelow(True)
    canvas.legend(loc="outside upper left", ncols=len(series), frameon=False)
    return _finish(canvas, name, caption)


def matrix(name: str, caption: str, values: Float[np.ndarray, "n m"], *, across: str, up: str) -> Figure:
    """Many numbers as a square of colours, purple above zero and orange below."""
    canvas, axes = _axes(5.6, 5.0)
    bound = float(np.abs(values).max()) or 1.0
    shown = axes.imshow(values, cmap="PuOr", vmin=-bound, vmax=bound)
    canvas.colorbar(shown, shrink=0.8)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    return _finish(canvas, name, caption)


def _axes(width: float, height: float) -> "tuple[Canvas, Axes]":
    """An empty figure of so many inches, and its axes."""
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(width, height), layout="constrained")
    axes = canvas.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(color=GREY, labelcolor=INK, length=0)
    return canvas, axes


def _finish(canvas: "Canvas", name: str, caption: str) -> Figure:
    file = io.BytesIO()
    canvas.savefig(file, format="png", dpi=160, metadata={"Software": None})
    return Figure(name=name, caption=caption, png=file.getvalue())
