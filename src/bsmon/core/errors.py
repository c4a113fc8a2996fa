"""Errors that are a person's to mend, told apart from errors of the program."""


class BadInput(ValueError):
    """Something the person gave cannot be used; the message says what, where and what would do.

    Ends the program with exit status 2 and no traceback, wherever it was raised.
    """


class NotApplicable(ValueError):
    """A command that cannot be done now; the message is one sentence that the person is shown."""


class RunCannotGoOnError(RuntimeError):
    """A run has to end as failed for a reason that the message says whole; a traceback would add nothing."""
