"""How the small commands (`python -m unicorn...`) end: with what they say, or with one line and an exit code."""

import logging
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable

from unicorn.errors import UserError


def parser(description: str | None) -> ArgumentParser:
    """A parser whose help is the docstring of the command's file."""
    return ArgumentParser(description=description, formatter_class=RawDescriptionHelpFormatter)


def run(main: Callable[[Namespace], None], arguments: Namespace) -> None:
    """Do what a command does; a user's mistake is one line on standard error, and exit code 2."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("unicorn").setLevel(logging.INFO)
    try:
        main(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on.", file=sys.stderr)
        sys.exit(130)
