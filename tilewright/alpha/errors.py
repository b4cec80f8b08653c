"""What a user of the alpha tools may have got wrong; each message is one sentence."""

from __future__ import annotations


class AlphaError(ValueError):
    """Data, settings or a folder that the job cannot work with."""
