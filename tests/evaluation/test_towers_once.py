"""Several tasks of one evaluation: each tower is loaded once, each picture and caption encoded once."""

from collections import Counter
from pathlib import Path

import pytest

from evaluate import evaluate
from tests.conftest import run_script
from unicorn.evaluation import pictures
from unicorn.scenes.encoder import SceneEncoderSettings


def test_towers_are_loaded_and_pairs_encoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Counter[str]()

    def counted(of: object, name: str) -> None:
        real = getattr(of, name)

        def call(*arguments: object) -> object:
            calls[name] += 1
            return real(*arguments)

        monkeypatch.setattr(of, name, call)

    counted(SceneEncoderSettings, "image_tower")
    counted(SceneEncoderSettings, "text_tower")
    counted(pictures, "encode_pairs")
    finished = run_script(
        *(evaluate, "run=null", "task=[geometry,domain_gap,shifted_test,statistics]", "encoder=scenes"),
        *(f"out={tmp_path}", "pictures.count=60", "domain_gap.least=5", "geometry.methods=[]"),
    )
    assert finished.code == 0, finished.err
    assert calls == {"image_tower": 1, "text_tower": 1, "encode_pairs": 1}
