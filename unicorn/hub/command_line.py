"""How the commands of this room end: with what they say, or with one line and exit code 2."""

import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable

from transformers.utils import logging

from unicorn.errors import UserError


def parser(description: str | None) -> ArgumentParser:
    """A parser whose help is the docstring of the command's file."""
    return ArgumentParser(description=description, formatter_class=RawDescriptionHelpFormatter)


def run(main: Callable[[Namespace], None], arguments: Namespace) -> None:
    """Do what a command does; a user's mistake is one line on standard error."""
    logging.disable_progress_bar()  # loading takes seconds, and the answer is what is waited for
    try:
        main(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
