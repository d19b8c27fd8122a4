"""The OpenAPI document's introduction, and the descriptions of its groups of operations."""

from __future__ import annotations

INTRODUCTION = """
**Authentication.** Send an API key as `Authorization: Bearer frk_…`. Each operation names the scope that
the key needs. A key can be bound to one collection; it then gets a 404 for all others.

**Photos** are sent as a multipart file or in JSON, in base64 or as an object in S3. URLs are never
fetched. JPEG, PNG, WebP and HEIC files of at most 10 MB are accepted. Boxes and landmarks are in pixels
of the upright photo as decoded; very large photos are decoded at a reduced size, so use `relative` to
draw on the original.

**Scores.** `similarity` is calibrated, 0–100: with every engine, 80 corresponds to a false match rate of
1e-4. For searches, the default threshold depends on the collection's size, so that no more
than about one in a hundred searches for a person who isn't in the collection returns a match.

**Lists** return `next`, `previous` and `results`. Follow the URL in `next` until it is null.

**Errors** are problem details (RFC 9457) with a stable `code`. After a 429 or 503, wait as many seconds
as `Retry-After` says.
"""
TAGS = [
    {"name": "collections", "description": "Isolated groups of people, each with its own settings."},
    {"name": "persons", "description": "The people in a collection."},
    {"name": "photos", "description": "Enrol and withdraw the photos of a person."},
    {
        "name": "faces",
        "description": "Identify, verify, compare and detect. Photos sent here are not stored.",
    },
    {"name": "merges", "description": "Merge two records of the same person, and undo it."},
    {"name": "imports", "description": "Enrol many photos of many people at once."},
    {"name": "erasures", "description": "Receipts of erased people."},
    {"name": "engine", "description": "The face recognition engine and its thresholds."},
]
