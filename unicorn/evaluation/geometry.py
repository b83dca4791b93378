"""The modality gap, measured: how far captions lie from their pictures, before and after the transfer.

`none` in a key is the raw space of the encoder. For a transfer, text is what the projector is trained on, and
images are what it is given at inference, centred on the mean of the images at hand.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from unicorn.evaluation.task import Findings, Pairs
from unicorn.report.figures import Figure, scatter
from unicorn.report.html import DataTable, Section
from unicorn.transfer.transfer import NoiseKey, Transfer

Vectors = Float[np.ndarray, "n d"]


@dataclass(kw_only=True)
class GeometrySettings:
    """`drawn` is the number of pairs in the t-SNE figure; `seed` keys every draw, and a transfer's noise."""

    seed: int = 0
    drawn: int = 300

    def build(self) -> "Geometry":
        """The analysis."""
        return Geometry(self)


class Geometry:
    """Gap, paired cosine and linear separability of text and image vectors, raw and after each transfer."""

    def __init__(self, settings: GeometrySettings) -> None:
        self._settings = settings

    def run(self, pairs: Pairs, transfers: Mapping[str, Transfer]) -> Findings:
        """`gap_norm/<transfer>`, `paired_cosine/<transfer>`, `separability/<transfer>`, and a t-SNE figure.

        `gap_norm` alone is that of the raw space, which is `none` in the other keys.
        """
        spaces = {"none": (pairs.text, pairs.image)}
        spaces |= {name: self._apply(transfer, pairs) for name, transfer in transfers.items()}
        measured = {
            name: (
                gap_norm(text, image),
                paired_cosine(text, image),
                separability(text, image, self._settings.seed),
            )
            for name, (text, image) in spaces.items()
        }
        metrics = {"gap_norm": measured["none"][0], "pairs": float(len(pairs.text))}
        for name, values in measured.items():
            metrics |= dict(
                zip((f"gap_norm/{name}", f"paired_cosine/{name}", f"separability/{name}"), values, strict=True)
            )
        section = Section(
            title="Text and images in one space",
            text=(
                f"{len(pairs.text):,} captions and their pictures. The gap is the distance between the mean "
                "caption and the mean picture; separability is how often a linear classifier tells the two "
                "apart (0.5 is chance)."
            ),
            figures=[self._draw(pairs.text, *spaces[name], name) for name in transfers],
            tables=[
                DataTable(
                    columns=("transfer", "gap", "paired cosine", "separability"),
                    rows=[[name, *values] for name, values in measured.items()],
                )
            ],
        )
        return Findings(metrics=metrics, sections=[section])

    def _apply(self, transfer: Transfer, pairs: Pairs) -> tuple[Vectors, Vectors]:
        noise = NoiseKey(seed=self._settings.seed, epoch=0, rows=np.arange(len(pairs.text)))
        centring = transfer.image_centring()
        centring.observe(pairs.image)
        return transfer.text(pairs.text, pairs.domains, noise), centring.transform(pairs.image)

    def _draw(self, text: Vectors, synthetic: Vectors, real: Vectors, name: str) -> Figure:
        from sklearn.manifold import TSNE

        drawn = np.random.default_rng(self._settings.seed).permutation(len(text))[: self._settings.drawn]
        groups = {"text": text[drawn], "synthetic": synthetic[drawn], "real": real[drawn]}
        stacked = np.concatenate(list(groups.values()))
        perplexity = min(30.0, (len(stacked) - 1) / 3)
        plane = TSNE(perplexity=perplexity, random_state=self._settings.seed).fit_transform(stacked)
        caption = (
            f"t-SNE of {len(drawn):,} captions (text), of the same after {name.replace('_', ' ')} "
            "(synthetic: what the model is trained on), and of their pictures (real: what it is asked about)."
        )
        return scatter(f"tsne_{name}", caption, dict(zip(groups, np.split(plane, 3), strict=True)))


def gap_norm(text: Vectors, image: Vectors) -> float:
    """Distance between the two means."""
    return float(np.linalg.norm(image.mean(axis=0, dtype=np.float64) - text.mean(axis=0, dtype=np.float64)))


def paired_cosine(text: Vectors, image: Vectors) -> float:
    """Mean cosine of a caption and its picture; a vector of zeros has a cosine of zero with all others."""
    dot = np.einsum("nd,nd->n", text, image)
    norms = np.linalg.norm(text, axis=1) * np.linalg.norm(image, axis=1)
    return float(np.divide(dot, norms, out=np.zeros_like(dot), where=norms > 0).mean())


def separability(text: Vectors, image: Vectors, seed: int) -> float:
    """How often a logistic regression fitted on half of the pairs tells text from image in the other half."""
    from sklearn.linear_model import LogisticRegression

    order = np.random.default_rng(seed).permutation(len(text))
    half = len(order) // 2
    (seen, modality), (unseen, truth) = (
        (np.concatenate([text[rows], image[rows]]), np.repeat([0, 1], len(rows)))
        for rows in (order[:half], order[half:])
    )
    return float(LogisticRegression(max_iter=1000).fit(seen, modality).score(unseen, truth))
