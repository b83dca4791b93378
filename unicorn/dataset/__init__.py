"""The dataset on disk: a folder with a manifest, shards that are whole or not there, one writer at a time."""

from unicorn.dataset.journal import Journal
from unicorn.dataset.manifest import Part
from unicorn.dataset.reader import UnicornDataset
from unicorn.dataset.shards import Embeddings
from unicorn.dataset.split import is_training
from unicorn.dataset.writer import DatasetWriter

__all__ = ["DatasetWriter", "Embeddings", "Journal", "Part", "UnicornDataset", "is_training"]
