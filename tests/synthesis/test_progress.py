"""Off a terminal, progress is a line in the log now and then."""

import logging

import pytest

from unicorn.synthesis import progress as progress_module
from unicorn.synthesis.progress import progress


def test_lines_are_rare_and_tell_how_much_is_left(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now)
    with caplog.at_level(logging.INFO), progress("captions", 4000) as advance:
        for _ in range(70):
            now += 1.0
            advance(20)
    assert caplog.messages == [
        "captions: 600 of 4,000, 20/s, 170 s left",
        "captions: 1,200 of 4,000, 20/s, 140 s left",
    ]
