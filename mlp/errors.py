"""The one exception for input that cannot be right, so that scripts can tell it from a bug."""


class InputError(ValueError):
    """Something the user gave is wrong: the message names the value, what is accepted, and where.

    A ``ValueError``, so existing handlers catch it. The scripts print its message as one line and
    exit with status 2; any other exception is a bug and shows its traceback.
    """
