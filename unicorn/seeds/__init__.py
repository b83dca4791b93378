"""Where captions begin: short texts, each of which a dense caption will grow from.

source     the seam: what every source of seeds looks like
files      a corpus of captions in a JSON Lines file
"""

from unicorn.seeds.source import SeedSource, SeedSourceSettings

__all__ = ["SeedSource", "SeedSourceSettings"]
