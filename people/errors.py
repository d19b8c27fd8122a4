"""Every error that clients, import results and commands report: one hierarchy, each kind with a stable code.

Imports nothing of the project and no Django: the image fetches its models with this module and
people.engines.fetching alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

RETRY_AFTER_SECONDS = 5
PROBLEM_CONTENT_TYPE = "application/problem+json"
_TITLES = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    406: "Not Acceptable", 409: "Conflict", 411: "Length Required", 413: "Content Too Large",
    414: "URI Too Long", 415: "Unsupported Media Type", 417: "Expectation Failed",
    422: "Unprocessable Content", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
    500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable",
}  # fmt: skip
"""The statuses' phrases in RFC 9110 and 6585, as RFC 9457 asks for. Python's vary from version to version."""


class FacerecError(Exception):
    """Base of every error that the product raises on purpose.

    `code` is stable and part of the API. `status` is the HTTP status of a response with this error.
    `meaning` says what happened and `remedy` what to do; together they are the default `message`.
    `extra` holds further JSON-serialisable members of the problem document.
    """

    code = "internal_error"
    status = 500
    meaning = "Something went wrong in the service."
    remedy = "Try again. If it happens again, report the `request_id` to the operator."
    reported_in: ClassVar[str] = "response"
    """Where clients meet the code: in a `response`, an `import result`, or the output of a `command`."""
    retry_after: int | None = None
    """Seconds after which the same request may succeed, where that is known."""

    def __init__(self, message: str | None = None, *, extra: Mapping[str, Any] | None = None) -> None:
        self.message = message or f"{self.meaning} {self.remedy}"
        self.extra: dict[str, Any] = dict(extra or {})
        super().__init__(self.message)

    def as_problem(self, request_id: str) -> dict[str, Any]:
        """Return the RFC 9457 problem document of a response with this error."""
        return {
            "type": "about:blank",
            "title": _TITLES[self.status],
            "status": self.status,
            "detail": self.message,
            "code": self.code,
            "request_id": request_id,
            **self.extra,
        }


# The request as such, whatever it asks for


class Malformed(FacerecError):
    code, status = "malformed", 400
    meaning = "The request can't be read."
    remedy = "Correct its syntax and send it again."


class Invalid(FacerecError):
    """`errors` has the messages for each field, by dotted name."""

    code, status = "invalid", 400
    meaning = "Some fields have values that aren't accepted."
    remedy = "See `errors` for each of them."


class UnknownHost(FacerecError):
    code, status = "unknown_host", 400
    meaning = "The service doesn't answer to this host name."
    remedy = "Use the service's own address, or ask the operator to add this one to ALLOWED_HOSTS."


class NotAuthenticated(FacerecError):
    code, status = "not_authenticated", 401
    meaning = "The request has no valid API key."
    remedy = "Send `Authorization: Bearer frk_…` with a key that is neither revoked nor expired."


class NotAllowed(FacerecError):
    code, status = "not_allowed", 403
    meaning = "This operation is not allowed."
    remedy = "Use an API key that has the scope for it, or ask the operator for one."


class NotFound(FacerecError):
    code, status = "not_found", 404
    meaning = "Not found, or this API key doesn't have access to that collection."
    remedy = "Check the path and the ids in it; /api/docs/ lists all paths."


class MethodNotAllowed(FacerecError):
    code, status = "method_not_allowed", 405
    meaning = "This path doesn't support the request's method."
    remedy = "Use one of the methods in the response's `Allow` header."


class NotAcceptable(FacerecError):
    code, status = "not_acceptable", 406
    meaning = "No response in the formats of the `Accept` header is possible."
    remedy = "Accept application/json."


class LengthRequired(FacerecError):
    code, status = "length_required", 411
    meaning = "This server can't read a body without a Content-Length."
    remedy = "Send the header, or run the service with gunicorn, which reads chunked bodies."


class TooLarge(FacerecError):
    code, status = "too_large", 413
    meaning = "The request's body is larger than this operation accepts."
    remedy = "Send less at once."


class UriTooLong(FacerecError):
    code, status = "uri_too_long", 414
    meaning = "The request's address is too long."
    remedy = "Send fewer or shorter query parameters."


class UnsupportedMediaType(FacerecError):
    code, status = "unsupported_media_type", 415
    meaning = "This operation doesn't accept the body's Content-Type or charset."
    remedy = "Send a Content-Type that /api/docs/ lists for the operation, encoded in UTF-8."


class ExpectationFailed(FacerecError):
    code, status = "expectation_failed", 417
    meaning = "The only expectation that the service meets is `100-continue`."
    remedy = "Send the request without the `Expect` header."


class TooManyRequests(FacerecError):
    code, status = "too_many_requests", 429
    meaning = "The API key's rate limit is reached."
    remedy = "Wait for as many seconds as the `Retry-After` header says."


class HeadersTooLarge(FacerecError):
    code, status = "headers_too_large", 431
    meaning = "The request's headers are too large, or there are too many."
    remedy = "Send fewer or shorter headers."


class NotImplementedByServer(FacerecError):
    code, status = "not_implemented", 501
    meaning = "The request's Transfer-Encoding isn't supported."
    remedy = "Send the body as it is, or chunked."


# Photos


class PhotoRejected(FacerecError):
    """The photo, as sent, can't be used. Never retried: the same bytes fail the same way."""

    code, status = "photo_rejected", 422
    meaning = "The photo can't be used."
    remedy = "Send another one."


class PhotoMissing(PhotoRejected):
    code, status = "photo_missing", 400
    meaning = "No photo was sent."
    remedy = "Send one as multipart file `photo`, or as JSON photo.base64."


class PhotoEmpty(PhotoRejected):
    code, status = "photo_empty", 400
    meaning = "The photo is empty: it has no bytes."
    remedy = "Send the file itself."


class PhotoTooLarge(PhotoRejected):
    code, status = "photo_too_large", 413
    meaning = "The photo is larger than 10 MB."
    remedy = "Send a smaller file."


class NotAnImage(PhotoRejected):
    code, status = "not_an_image", 415
    meaning = "The file is not a JPEG, PNG, WebP or HEIC image."
    remedy = "Convert it to one of these."


class UnreadablePhoto(PhotoRejected):
    code, status = "unreadable_photo", 422
    meaning = "The photo is damaged and can't be decoded."
    remedy = "Export it or take it again."


class TooManyPixels(PhotoRejected):
    code, status = "too_many_pixels", 422
    meaning = "The photo has too many pixels."
    remedy = "Scale it down to 16 megapixels or fewer."


class NoFaceFound(PhotoRejected):
    code, status = "no_face", 422
    meaning = "No face was found in the photo."
    remedy = "Send a photo that shows one face from the front."


class SeveralFacesFound(PhotoRejected):
    """`faces` has the boxes to choose from."""

    code, status = "several_faces", 422
    meaning = "The photo shows several faces."
    remedy = "Crop it to one, or choose one with `face`; `faces` lists their boxes."


class PoorQuality(PhotoRejected):
    """`reasons` has each measured and required value with a hint; `face` has the face's box."""

    code, status = "poor_quality", 422
    meaning = "The face is not clear enough to enrol."
    remedy = "See `reasons` for what to improve."


class FaceNotThere(PhotoRejected):
    code, status = "face_not_there", 422
    meaning = "There is no face at the box given in `face`."
    remedy = "Use a box that `detect` returned for this photo."


class ProcessingFailed(PhotoRejected):
    code, status = "processing_failed", 503
    meaning = "The photo could not be processed after several attempts."
    remedy = "Send it again, or ask the operator."
    retry_after = RETRY_AFTER_SECONDS


# People and collections


class ConsentMissing(FacerecError):
    code, status = "consent_missing", 422
    meaning = "This collection only enrols people with a recorded consent that has not expired."
    remedy = "Record the person's consent first."


class NotEnrolled(FacerecError):
    code, status = "not_enrolled", 409
    meaning = "This person can't be compared: they have no accepted photo, are suspended, or lack consent."
    remedy = "Enrol a photo, activate the person, or record their consent."


class Conflict(FacerecError):
    code, status = "conflict", 409
    meaning = "The request conflicts with stored data."
    remedy = "Fetch the current data and try again."


class IdempotencyConflict(Conflict):
    code, status = "idempotency_conflict", 409
    meaning = "This Idempotency-Key was already used with a different body."
    remedy = "Use a new key."


class IdempotencyInProgress(Conflict):
    code, status = "idempotency_in_progress", 409
    meaning = "A request with this Idempotency-Key is still being processed."
    remedy = "Try again in a few seconds."


class PersonMerged(Conflict):
    """`kept` is the id of the person into whom this one was merged."""

    code, status = "person_merged", 409
    meaning = "This person was merged into another."
    remedy = "Use the person whose id is `kept`, or undo the merge."


class NotMergeable(Conflict):
    code, status = "not_mergeable", 409
    meaning = "Only two different people of the same collection can be merged."
    remedy = "Choose another person as `other`."


class UndoneAlready(Conflict):
    code, status = "merge_undone", 409
    meaning = "This merge has already been undone."
    remedy = "There is nothing left to undo."


class UndoOutOfOrder(Conflict):
    """`merge` is the id of the latest merge, which comes first."""

    code, status = "undo_out_of_order", 409
    meaning = "A later merge of this person must be undone first."
    remedy = "Undo the merge whose id is `merge`, then this one."


class MergedErased(Conflict):
    code, status = "merged_erased", 409
    meaning = "The people of this merge were erased."
    remedy = "This merge can't be undone."


# Parts of the service that are unavailable; the same request may succeed later


class IndexUnavailable(FacerecError):
    code, status = "index_unavailable", 503
    meaning = "The face index is not available now."
    remedy = "Try again in a few seconds."
    retry_after = RETRY_AFTER_SECONDS


class Overloaded(FacerecError):
    """Nothing was done. The same request succeeds as soon as others are answered."""

    code, status = "overloaded", 503
    meaning = "Too many photos are waiting to be processed."
    remedy = "Try again in a second and send photos more slowly, or run more workers."
    retry_after = 1


class DatabaseUnavailable(FacerecError):
    code, status = "database_unavailable", 503
    meaning = "The database is busy or unavailable."
    remedy = "Try again in a few seconds."
    retry_after = RETRY_AFTER_SECONDS


class StorageUnavailable(FacerecError):
    code, status = "storage_unavailable", 503
    meaning = "Files can't be stored or read now."
    remedy = "Try again; the operator should check the photo storage's free space and permissions."
    retry_after = RETRY_AFTER_SECONDS


class ModelMissing(FacerecError):
    code, status = "model_missing", 503
    meaning = "A model file is missing."
    remedy = "The operator must run `manage.py fetch_models`."
    retry_after = RETRY_AFTER_SECONDS


# Photos and imports in buckets


class BucketNotAllowed(FacerecError):
    code, status = "bucket_not_allowed", 400
    meaning = "The service doesn't read from this bucket."
    remedy = (
        "Ask the operator to add it to FACEREC_S3_INPUT_BUCKETS. "
        "The bucket that stores the enrolled photos can't be added."
    )


class ObjectNotFound(FacerecError):
    code, status = "object_not_found", 422
    meaning = "The bucket has no such object, or the service isn't allowed to read it."
    remedy = "Check the bucket, the key (which is case-sensitive) and the service's permission to read."


# Imports as a whole


class ImportRefused(FacerecError):
    """The whole source can't be imported as it is; nothing of it was enrolled."""

    code, status = "import_refused", 422
    meaning = "The source contains entries that can't be imported."
    remedy = "Recreate it with the layout person/photo.jpg."


class ArchiveUnreadable(ImportRefused):
    code, status = "archive_unreadable", 422
    meaning = "The file is not a ZIP archive, or it is damaged."
    remedy = "Create it again."


class ArchiveTooLarge(ImportRefused):
    code, status = "archive_too_large", 413
    meaning = "The archive is larger than this service accepts."
    remedy = "Split it, or ask the operator to raise FACEREC_IMPORT_MAX_MB."


class TooManyFiles(ImportRefused):
    code, status = "too_many_files", 422
    meaning = "The source contains more than 100,000 files."
    remedy = "Split it."


class PeopleCsvInvalid(ImportRefused):
    """`errors` has the mistakes with their lines."""

    code, status = "people_csv_invalid", 422
    meaning = "people.csv has mistakes."
    remedy = "See `errors` for the lines. Correct them and import again."


class SourceGone(ImportRefused):
    code, status = "source_gone", 422
    meaning = "The archive, folder or prefix doesn't exist, or contains no photos."
    remedy = "Check its name."


# Single files of an import


class ItemProblem(FacerecError):
    """Base of what only an import's results say about a file. It has no code and is never raised itself."""

    status = 422
    reported_in = "import result"


class EntryUnreadable(ItemProblem):
    code = "entry_unreadable"
    meaning = "The file can't be read from its source: it is damaged, or compressed in an unusual way."
    remedy = "Replace it and import again."


class EntryMissing(EntryUnreadable):
    code = "entry_missing"
    meaning = "The file is no longer in its source."
    remedy = "Put it back and import again."


class NotImportable(ItemProblem):
    code = "not_importable"
    meaning = "The file's name or place doesn't say whose photo it is."
    remedy = "Rename it to person/photo.jpg and import again."


class Duplicate(ItemProblem):
    code = "duplicate"
    meaning = "The same file comes earlier in this import."
    remedy = "No action is needed."


class Cancelled(ItemProblem):
    code = "cancelled"
    meaning = "The import was cancelled before this file."
    remedy = "Import again to enrol it."


class PersonErased(ItemProblem):
    code = "person_erased"
    meaning = "The person was erased during or after the import."
    remedy = "No action is needed: nothing of them is kept."


class PhotoWithdrawn(ItemProblem):
    code = "photo_withdrawn"
    meaning = "The photo was withdrawn during the import."
    remedy = "Import it again if it should be enrolled."


# Commands


class FetchFailed(FacerecError):
    """No source of a file returned the bytes that the catalogue describes."""

    code = "fetch_failed"
    meaning = "A file could not be fetched from any of its sources."
    remedy = "Check the network and run the command again."
    reported_in = "command"


class EvaluationFailed(FacerecError):
    code = "evaluation_failed"
    meaning = "The photos can't be evaluated."
    remedy = "See the message for what to change."
    reported_in = "command"


class EvaluationInterrupted(EvaluationFailed):
    code = "evaluation_interrupted"
    meaning = "The evaluation was interrupted."
    remedy = "Run the same command again to resume."


def every_code() -> dict[str, type[FacerecError]]:
    """Return every kind of error by its code."""
    return {kind.code: kind for kind in _family(FacerecError) if "code" in vars(kind)}


def _family(kind: type[FacerecError]) -> Iterator[type[FacerecError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _family(child)


def as_stored(error: FacerecError) -> dict[str, Any]:
    """Return what a row keeps of an error: code, detail and further members."""
    return {"code": error.code, "detail": error.message, **error.extra}


def refusal(rejection: Mapping[str, Any]) -> PhotoRejected:
    """Return the error that a stored rejection (code, detail and further members) was made from."""
    kind = every_code().get(str(rejection.get("code")), PhotoRejected)
    extra = {name: value for name, value in rejection.items() if name not in ("code", "detail")}
    return (kind if issubclass(kind, PhotoRejected) else PhotoRejected)(rejection.get("detail"), extra=extra)
