"""The errors that a user can mend, each one clear line."""


class UserError(Exception):
    """Something the user can mend: what is wrong, where (file, row, key), and what to do, in one line.

    The entry scripts print it without a traceback and exit with code 2.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
