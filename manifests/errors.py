"""The one exception that both packages raise for data that is not what it should be."""

from __future__ import annotations


class ManifestError(Exception):
    """Data, a file or an option is not what the contract asks for.

    The message names the thing, what was expected, what was found and what to do:
    ``"mtat/1234: expected 29.0 s, got 12.1 s; fetch the file again"``. The command line prints it
    as one line and exits with status 1.
    """


class UsageError(ManifestError):
    """The command was given options that do not fit together; exit status 2."""
