"""The embedded world: small rendered scenes, their language, questions about them, and models that know them.

    graph      what a scene is, and how one is invented or completed
    language   a scene's captions, sparse and dense, and the reader that turns a caption back into facts
    questions  what can be asked about a scene, with canonical answers
    render     a scene as a picture
    towers     the image tower and the text tower, one shared space; the tokenizer
    pretrain   `python -m unicorn.scenes.pretrain` makes every file of `weights/` again, from nothing
    probe      what the towers see, measured

It stands in for real captions, encoders and language models wherever none is configured. Nothing in the framework
imports it: configuration names its parts, as it names a user's own. `graph`, `language` and `questions` need nothing
beyond the standard library.
"""

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"
