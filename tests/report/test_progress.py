"""Progress where there is no terminal."""

import logging

import pytest

from unicorn.report import progress as progress_module
from unicorn.report.progress import track


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
