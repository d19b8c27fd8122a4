"""What schemathesis can't learn from the document: photos, archives, and ids that belong together.

Loaded by schemathesis's own process, so it doesn't import Django.
"""

from __future__ import annotations

import base64
import io
import itertools
import json
import os
import re
import zipfile
import zlib
from typing import Any

import schemathesis
from hypothesis import strategies as st

from tests import fakes

PHOTOS = [fakes.photo(seed, variation=variation) for seed in range(4) for variation in range(3)]


def _archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, photo in enumerate(PHOTOS):
            archive.writestr(f"person-{number % 4}/{number}.png", photo)
    return buffer.getvalue()


for kind in ("image/jpeg", "image/png", "image/webp", "image/heic"):
    schemathesis.openapi.media_type(kind, st.sampled_from(PHOTOS))
schemathesis.openapi.media_type("application/zip", st.just(_archive()))
schemathesis.openapi.format("byte", st.sampled_from([base64.b64encode(photo).decode() for photo in PHOTOS]))


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Ignore that a valid request was refused if it broke a rule that JSON Schema can't express."""
    return failure.title != "Schema-valid request rejected" or not _is_a_rule(response.json())


def _is_a_rule(problem: dict[str, Any]) -> bool:
    if problem["code"] in RULES:
        return True
    return problem["code"] == "invalid" and all(
        message in MESSAGES for messages in problem["errors"].values() for message in messages
    )


RULES = {
    "bucket_not_allowed",  # the operator's list
}
MESSAGES = {
    "This cursor belongs to another list or ordering. Use the URL in `next` or `previous`.",
    "Send only one of fpir, fmr and min_similarity.",
    "Set only one of fpir, fmr and min_similarity.",
    "Also enter when the consent was given.",
}


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any]) -> dict[str, Any]:
    """Replace three quarters of the valid values, which match no object, with ids of existing objects."""
    if not EXISTING or not path_parameters or not all(map(_is_valid, path_parameters.items())):
        return path_parameters
    if context.operation.definition.raw["operationId"] == "deleteCollection":
        return path_parameters  # the other operations need the collection
    digest = zlib.crc32(repr(sorted(path_parameters.items())).encode())
    if digest % 4 == 0 and path_parameters.get("collection") != "0":  # "0" is from the coverage phase
        return path_parameters
    rows = next(rows for rows in EXISTING if path_parameters.keys() <= rows[0].keys())
    row = rows[digest // 4 % len(rows)]
    return {name: row[name] for name in path_parameters}


def _is_valid(parameter: tuple[str, Any]) -> bool:
    name, value = parameter
    if name == "collection":
        return re.fullmatch(r"\.*[a-zA-Z0-9_\-:][a-zA-Z0-9_.\-:]*", str(value)) is not None
    return re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", str(value)) is not None


EXISTING: list[list[dict[str, str]]] = json.loads(os.environ.get("FACEREC_TEST_EXISTING", "[]"))
"""Values of path parameters that belong together: lists of such rows, the fewest parameters first."""


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """Merge people who exist."""
    match body:
        case {"other": str(other)} if EXISTING and _is_valid(("other", other)):
            people = [row["person"] for row in EXISTING[-1]]
            return {**body, "other": people[zlib.crc32(other.encode()) % len(people)]}
    return body


@schemathesis.hook
def before_call(context: Any, case: Any, **options: Any) -> None:
    """Give most calls a unique Idempotency-Key: with a key used before, the operation isn't carried out."""
    headers = case.headers or {}
    number = next(CALLS)
    if re.fullmatch(r"[ -~]{1,200}", headers.get("Idempotency-Key", "")) and number % 8:
        case.headers["Idempotency-Key"] = f"{headers['Idempotency-Key'].strip()}-{number}"


CALLS = itertools.count()
