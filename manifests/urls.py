"""Names of files: plain paths and fsspec URLs, and the file systems behind them."""

from __future__ import annotations

import posixpath
import urllib.parse
from pathlib import Path
from typing import Any, Final

import fsspec
import fsspec.implementations.local

from manifests.errors import ManifestError, UsageError
from manifests.extras import how_to_install
from manifests.object_store import client_options, limit_tries

REFUSED_SCHEMES: Final = (
    "pipe", "data", "ssh", "sftp", "simplecache", "filecache", "blockcache", "cached",
)  # fmt: skip
"""Never opened, wherever they come from: they run commands or write elsewhere."""


def scheme(url: str) -> str:
    """Return the URL's scheme, ``file`` for a plain path."""
    head, separator, _ = url.partition("://")
    if not separator:
        return "pipe" if url.startswith("pipe:") else "file"
    return head.split("::")[0].lower()


def is_local(url: str) -> bool:
    """Tell whether the URL names a file of this machine."""
    return scheme(url) in ("file", "local")


def local_path(url: str) -> Path:
    """Return the local path of a plain path or a ``file://`` URL, which is percent-encoded.

    Raises:
        UsageError: the URL names another host, as ``file://folder`` does by mistake.
    """
    if "://" not in url:
        return Path(url)
    parts = urllib.parse.urlsplit(url)
    if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
        raise UsageError(
            f"{url}: expected file:// and an absolute path, with # and ? as %23 and %3F"
        )
    return Path(urllib.parse.unquote(parts.path))


def filesystem(url: str) -> tuple[Any, str]:
    """Return the fsspec file system of a URL and the path within it.

    Raises:
        UsageError: the scheme is refused, unknown, or its package is not installed.
    """
    if scheme(url) in REFUSED_SCHEMES or ("::" in url and "://" in url):
        raise UsageError(f"{url}: refused; expected a plain path or a URL such as s3://bucket/dir")
    if is_local(url):  # not url_to_fs: that takes "::" in a plain path for a chain of systems
        return fsspec.filesystem("file"), str(local_path(url).absolute())
    kind = scheme(url)
    try:
        file_system, path = fsspec.core.url_to_fs(url, **client_options(kind))
    except (ValueError, ImportError) as error:
        raise UsageError(f"{url}: {error}; for s3:// {how_to_install('s3')}") from error
    limit_tries(file_system, kind)
    return file_system, path


def join(url: str, *names: str) -> str:
    """Return the URL of a file below a folder.

    Raises:
        ManifestError: a name is absolute or leads out of the folder by ``..``.
    """
    for name in names:
        if name.startswith("/") or ".." in name.split("/"):
            raise ManifestError(f"{name}: expected a path below {url}, got one that leads out")
    if "://" in url and is_local(url):
        names = tuple(urllib.parse.quote(name) for name in names)
    return posixpath.join(url, *names) if names else url
