"""The figures of the geometry; text, synthetic and real have the same colours in all of them."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from importlib.util import find_spec
from typing import cast

import numpy as np
from jaxtyping import Float, Float64

from unicorn.errors import UserError
from unicorn.evaluation.geometry.paired import PairMeasures
from unicorn.evaluation.geometry.views import View, chosen
from unicorn.report.figures import Figure, heat_map, histogram, log_lines, scatter


class Method(StrEnum):
    """How vectors are laid out in a plane.

    t-SNE: van der Maaten and Hinton, JMLR 2008. UMAP: McInnes et al., arXiv 1802.03426.
    """

    tsne = "tsne"
    pca = "pca"
    umap = "umap"

    @property
    def words(self) -> str:
        """As its authors write it."""
        return "t-SNE" if self is Method.tsne else self.value.upper()

    def require(self) -> None:
        """Raises UserError if it comes with an extra that is not installed."""
        if self is Method.umap and find_spec("umap") is None:
            raise UserError("geometry.methods: umap is an extra, not installed: pip install 'unicorn-vlm[umap]'.")


def spaces(raw: View, view: View, method: Method, drawn: int, seed: int) -> Figure:
    """Raw text, text under another view, and the images under it, in one plane."""
    texts, images = (chosen(len(side), drawn, seed) for side in (raw.sides.text, raw.sides.image))
    groups = {"text": raw.text(texts)}
    if view is not raw:
        groups["synthetic"] = view.text(texts)
    groups["real"] = view.image(images)
    stacked = np.concatenate(list(groups.values()))
    plane = _reduced(stacked, method, seed)
    edges = np.cumsum([len(group) for group in groups.values()])[:-1]
    name = view.name.replace("_", " ")
    synthetic = "" if view is raw else f"the same after {name} (synthetic: what a model is trained on), and "
    caption = f"{method.words} of {len(texts):,} texts, {synthetic}images (real: what it is asked about)."
    return scatter(f"{method}_{view.name}", caption, dict(zip(groups, np.split(plane, edges), strict=True)))


def _reduced(vectors: Float[np.ndarray, "n d"], method: Method, seed: int) -> Float[np.ndarray, "n 2"]:
    match method:
        case Method.pca:
            from sklearn.decomposition import PCA

            return PCA(2, random_state=seed).fit_transform(vectors)
        case Method.tsne:
            from sklearn.manifold import TSNE

            return TSNE(perplexity=min(30.0, (len(vectors) - 1) / 3), random_state=seed).fit_transform(vectors)
        case Method.umap:
            from umap import UMAP

            neighbors = min(15, len(vectors) - 1)
            plane = UMAP(n_neighbors=neighbors, init="pca", random_state=seed, n_jobs=1).fit_transform(vectors)
            return cast("Float[np.ndarray, 'n 2']", plane)


def spectra(values: Mapping[str, Float64[np.ndarray, " d"]]) -> Figure:
    """Eigenvalues of both covariances, in order of size."""
    caption = (
        "Eigenvalues of the covariance of each side, the largest first: lines apart are clouds of different shape."
    )
    shares = {name: spectrum / spectrum.sum() for name, spectrum in values.items()}
    return log_lines("spectra", caption, shares, across="direction", up="share of the variance")


def histograms(measures: PairMeasures) -> list[Figure]:
    """Of the cosines of pairs and of gaps, and of the residuals' norms."""
    cosine = {"of the pair's vectors": measures.cosine, "of its gap and the mean gap": measures.direction}
    caption = "Cosines, pair by pair: were the gap constant, that of every gap with the mean gap would be 1."
    norms = {"residual": measures.residual_norm}
    rest = "What a constant gap leaves: the distance of each pair's gap to the mean gap."
    return [histogram("cosines", caption, cosine, across="cosine"), histogram("residuals", rest, norms, across="norm")]


def domain_matrix(names: Sequence[str], matrix: Float[np.ndarray, "n n"]) -> Figure:
    """Cosines between the domains' gaps."""
    caption = "Cosines between the gaps of domains: 1 where one shift would serve both."
    return heat_map("domain_gaps", caption, names, matrix)
