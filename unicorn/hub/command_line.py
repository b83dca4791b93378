"""How the commands of this room run: as all small ones, and without the bars of transformers."""

from argparse import Namespace
from collections.abc import Callable

from transformers.utils import logging

from unicorn import command_line
from unicorn.command_line import parser

__all__ = ["parser", "run"]


def run(main: Callable[[Namespace], None], arguments: Namespace) -> None:
    """Do what a command does."""
    logging.disable_progress_bar()  # loading takes seconds, and the answer is what is waited for
    command_line.run(main, arguments)
