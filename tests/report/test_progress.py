"""Progress where there is no terminal."""

import logging

import pytest

from unicorn.report import progress as progress_module
from unicorn.report.progress import progress, track


def test_batches_pass_and_the_log_says_how_far(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress_module, "_SECONDS_BETWEEN_LINES", 0.0)
    with caplog.at_level(logging.INFO):
        assert list(track([[1, 2], [3]], "answers", total=1200)) == [[1, 2], [3]]
    assert caplog.messages[0].startswith("answers: 2 of 1,200, ")
    assert caplog.messages[1].startswith("answers: 3 of 1,200, ")
    assert capsys.readouterr() == ("", "")


def test_nothing_is_said_of_what_is_short(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert list(track([["a"]], "answers")) == [["a"]]
    assert caplog.messages == []


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
