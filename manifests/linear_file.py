"""A sound file as libsndfile reads it, and what it says where it cannot."""

from __future__ import annotations

import soundfile


class LinearFile(soundfile.SoundFile):  # type: ignore[misc]
    """A SoundFile that never seeks by itself.

    soundfile seeks to where it already stands after every read. In MP3 that makes libmpg123 jump
    by the Xing table: from the second block on, a VBR file came out up to 16,000 LSB off
    (measured, soundfile 0.14, libsndfile 1.2.2). A file that says it cannot seek is left alone.
    """

    def seekable(self) -> bool:
        """Return False, so that a read does not end in a seek."""
        return False


def said_by(error: Exception) -> str:
    """Return what libsndfile says, without paths and addresses of this machine."""
    text = str(getattr(error, "error_string", error)).replace("\n", " ").strip().rstrip(".")
    # What it says of an MP3 in which libmpg123 finds no frame; the file is there and open.
    return "no audio found in it" if text.startswith("File does not exist") else text
