"""How far the work is, on a terminal and in a log."""

import logging
import time
from io import StringIO

import pytest
from rich.console import Console

from unicorn.report import progress as progress_module
from unicorn.report.progress import Lines, progress, track


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A line every hundredth of a second."""
    monkeypatch.setattr(progress_module, "_SECONDS_BETWEEN_LINES", 0.01)
    caplog.set_level(logging.INFO)


def until_said(caplog: pytest.LogCaptureFixture, beginning: str) -> str:
    """Wait for a line that begins so, a second at most."""
    for _ in range(100):
        for message in caplog.messages:
            if message.startswith(beginning):
                return message
        time.sleep(0.01)
    raise AssertionError(f"no line begins with {beginning!r}: {caplog.messages}")


@pytest.mark.usefixtures("often")
def test_batches_pass_and_the_log_says_how_far(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    passed = []
    for batch in track([[1, 2], [3]], "answers", total=1200):
        passed.append(batch)
        until_said(caplog, f"answers: {2 if len(passed) > 1 else 0} of 1,200, ")
    assert passed == [[1, 2], [3]]
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("often")
def test_a_line_comes_though_nothing_does_and_asks_for_the_note(caplog: pytest.LogCaptureFixture) -> None:
    health = ["two servers"]
    with progress("captions", 10, lambda: health[-1]):
        until_said(caplog, "captions: 0 of 10, 0/s; two servers")
        health.append("one of two servers rests")
        until_said(caplog, "captions: 0 of 10, 0/s; one of two servers rests")
    said = len(caplog.messages)
    time.sleep(0.03)
    assert len(caplog.messages) == said, "lines go on after the work"


def test_nothing_is_said_of_what_is_short(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert list(track([["a"]], "answers")) == [["a"]]
    assert caplog.messages == []


def test_lines_tell_rate_and_how_much_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now)
    lines, said = Lines("captions", 4000, lambda: "$0.10, 3 rejected"), []
    for _ in range(3):
        for _ in range(30):
            now += 1.0
            lines.advance(20)
        said.append(lines.line())
    assert said == [
        "captions: 600 of 4,000, 20/s, 0:02:50 left; $0.10, 3 rejected",
        "captions: 1,200 of 4,000, 20/s, 0:02:20 left; $0.10, 3 rejected",
        "captions: 1,800 of 4,000, 20/s, 0:01:50 left; $0.10, 3 rejected",
    ]


def test_what_was_done_before_does_not_make_the_rate_of_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now)
    lines = Lines("captions", 1_000_000)
    lines.advance(600_000)  # of an earlier run
    for _ in range(6):
        now += 30.0
        lines.advance(300)
        line = lines.line()
    assert line == "captions: 601,800 of 1,000,000, 10/s, 11:03:40 left"


def test_on_a_terminal_the_note_stands_behind_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = StringIO()
    console = Console(file=screen, force_terminal=True, width=160)
    monkeypatch.setattr(progress_module, "Console", lambda stderr: console)
    with progress("captions", 4, lambda: "$0.10, 3 rejected") as advance:
        advance(3)
    assert "captions" in screen.getvalue()
    assert "3/4" in screen.getvalue()
    assert "$0.10, 3 rejected" in screen.getvalue()
