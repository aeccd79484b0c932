"""How object stores are asked: time-outs and retries that end in a message, never in a hang.

s3fs repeats a failed request, inside each of which botocore repeats it again, and reads are wrapped
twice: by their defaults a server that accepts connections and never answers is waited for half an
hour and more. Here botocore repeats (it knows what may pass: 500, 502, 503, 504, throttling,
connections refused or dropped), with growing pauses, and s3fs only what breaks off within a body.
"""

from __future__ import annotations

import contextlib
import glob
import os
from typing import Any, Final

import fsspec

CONNECT_TIMEOUT_S: Final = 5.0
READ_TIMEOUT_S: Final = 15.0
TRIES: Final = 6
"""Of a request. Pauses of 0.5, 1, 2, 4 and 8 s on average bridge an outage of a quarter minute."""
BODY_TRIES: Final = 2
"""Of a body; s3fs nests them, so a silent server costs at most 4 x 6 x 15 s and the pauses."""
S3_SCHEMES: Final = ("s3", "s3a")
BUCKET_SCHEMES: Final = (*S3_SCHEMES, "gs", "gcs", "az", "abfs", "abfss", "oss", "oci")
"""Stores of objects in buckets; they have no folders, so what can be made there is a bucket."""


def client_options(scheme: str) -> dict[str, Any]:
    """Return what a file system of this scheme is made with.

    What the user set wins: ``FSSPEC_S3='{"config_kwargs": {"read_timeout": 60}}'`` or a file of
    fsspec's configuration, and ``AWS_MAX_ATTEMPTS`` and ``AWS_RETRY_MODE``.
    """
    if scheme not in S3_SCHEMES:
        return {}
    config: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "read_timeout": READ_TIMEOUT_S,
    }
    if not {"AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE"} & os.environ.keys():
        config["retries"] = {"mode": "standard", "total_max_attempts": TRIES}
    given = fsspec.config.conf.get("s3", {}).get("config_kwargs", {})
    return {"config_kwargs": {**config, **given}}


def limit_tries(file_system: Any, scheme: str) -> None:
    """Set how often s3fs itself repeats; it takes no argument for that."""
    if scheme in S3_SCHEMES:
        file_system.retries = BODY_TRIES


def before_upload(file_system: Any, scheme: str) -> None:
    """Let an upload to S3 begin at once instead of asking for leave to.

    botocore announces every body by ``Expect: 100-continue``, and aiohttp waits for the answer
    without a time-out (3.14): a server that accepts connections and is silent would be waited for
    for ever.
    """
    if scheme in S3_SCHEMES:
        from botocore.handlers import add_expect_header

        events = file_system.connect().meta.events
        events.unregister("before-call.s3", add_expect_header)


def remove_exactly(file_system: Any, path: str) -> None:
    """Remove a file, or a folder with all in it, and never another one.

    ``rm`` takes ``*``, ``?`` and ``[`` of a name for a pattern: told to remove ``run[1]`` it would
    remove ``run1``.
    """
    if not glob.has_magic(path):
        file_system.rm(path, recursive=True)  # a request for a thousand objects
        return
    found = file_system.find(path, withdirs=True, detail=True)
    for name in sorted(found, reverse=True):  # what is in a folder before the folder
        if found[name].get("type") == "directory":
            with contextlib.suppress(OSError):  # object stores have none
                file_system.rmdir(name)
        else:
            file_system.rm_file(name)
