"""The modality gap, measured: how captions lie to pictures, and what each transfer does about it.

views      two sets of vectors, raw and under each transfer, a few rows at a time
moments    what follows from means and covariances alone: gap, energy, spectra, domains
paired     what is said pair by pair, and retrieval
sampled    what is fitted to a sample: separability, clusters
drawing    the figures
analysis   the task: on a run's pictures, or on files
"""

from unicorn.evaluation.geometry.analysis import GeometrySettings

__all__ = ["GeometrySettings"]
