"""How S3 is spoken to, whichever bucket it is."""

from __future__ import annotations

from botocore.config import Config

CLIENT = Config(
    connect_timeout=3,
    read_timeout=10,
    retries={"mode": "standard", "max_attempts": 3},
    signature_version="s3v4",  # of URLs, too: KMS takes no other
)
"""Seconds are a step's; a request that a person waits for ends in time."""
