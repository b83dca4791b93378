"""The held-out split: a pure function of the caption's id, so that no run can move a caption."""

import xxhash

# One caption in fifty, 2%, is never trained on.
HELD_OUT_ONE_IN = 50


def is_training(caption_id: str) -> bool:
    """Whether a caption, its vector and its instructions may be trained on."""
    return xxhash.xxh3_64_intdigest(caption_id.encode()) % HELD_OUT_ONE_IN != 0
