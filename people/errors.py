"""All errors reported in responses, import results and commands: one hierarchy of stable codes.

Imports neither Django nor the rest of the project: the container image fetches its models using only
this module and people.engines.fetching.
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
"""The reason phrases of RFC 9110 and RFC 6585, as RFC 9457 requires. Python's vary between versions."""


class FacerecError(Exception):
    """Base class of every error that the product raises on purpose.

    `code` is stable and part of the API. `status` is the HTTP status of a response with this error.
    `meaning` says what happened and `remedy` what to do; together they are the default `message`.
    `extra` holds further JSON-serialisable members of the problem document.
    """

    code = "internal_error"
    status = 500
    meaning = "Something went wrong on the server."
    remedy = "Try again. If the error persists, give the `request_id` to the operator."
    reported_in: ClassVar[str] = "response"
    """Where the code appears: in a `response`, an `import result`, or the output of a `command`."""
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


# Any request


class Malformed(FacerecError):
    code, status = "malformed", 400
    meaning = "The request could not be parsed."
    remedy = "Fix the syntax and send it again."


class Invalid(FacerecError):
    """`errors` has the messages for each field, by dotted name."""

    code, status = "invalid", 400
    meaning = "Some fields have invalid values."
    remedy = "See `errors` for what is wrong with each field."


class UnknownHost(FacerecError):
    code, status = "unknown_host", 400
    meaning = "The service doesn't accept requests for this host name."
    remedy = "Use the service's own host name, or ask the operator to add this one to ALLOWED_HOSTS."


class NotAuthenticated(FacerecError):
    code, status = "not_authenticated", 401
    meaning = "The request has no valid API key."
    remedy = "Send `Authorization: Bearer frk_…` with a key that has not been revoked and has not expired."


class NotAllowed(FacerecError):
    code, status = "not_allowed", 403
    meaning = "This operation is not allowed."
    remedy = "Use an API key with the required scope, or ask the operator for one."


class NotFound(FacerecError):
    code, status = "not_found", 404
    meaning = "Not found, or this API key doesn't have access to that collection."
    remedy = "Check the path and the ids in it; /api/docs/ lists all paths."


class MethodNotAllowed(FacerecError):
    code, status = "method_not_allowed", 405
    meaning = "This path doesn't support the request's HTTP method."
    remedy = "Use one of the methods listed in the response's `Allow` header."


class NotAcceptable(FacerecError):
    code, status = "not_acceptable", 406
    meaning = "The service can't respond in any of the formats in the `Accept` header."
    remedy = "Send `Accept: application/json`."


class LengthRequired(FacerecError):
    code, status = "length_required", 411
    meaning = "This server can't read a request body without a Content-Length."
    remedy = "Send a Content-Length, or run the service under gunicorn, which accepts chunked bodies."


class TooLarge(FacerecError):
    code, status = "too_large", 413
    meaning = "The request body is larger than this operation accepts."
    remedy = "Send less data per request."


class UriTooLong(FacerecError):
    code, status = "uri_too_long", 414
    meaning = "The request's URL is too long."
    remedy = "Send fewer or shorter query parameters."


class UnsupportedMediaType(FacerecError):
    code, status = "unsupported_media_type", 415
    meaning = "This operation doesn't support the Content-Type or charset of the request body."
    remedy = "Use a Content-Type that /api/docs/ lists for this operation, and encode the body as UTF-8."


class ExpectationFailed(FacerecError):
    code, status = "expectation_failed", 417
    meaning = "The only supported value of the `Expect` header is `100-continue`."
    remedy = "Send the request without the `Expect` header."


class TooManyRequests(FacerecError):
    code, status = "too_many_requests", 429
    meaning = "This API key has exceeded its rate limit."
    remedy = "Wait for the number of seconds in the `Retry-After` header, then try again."


class HeadersTooLarge(FacerecError):
    code, status = "headers_too_large", 431
    meaning = "The request has too many headers, or they are too large."
    remedy = "Send fewer or shorter headers."


class NotImplementedByServer(FacerecError):
    code, status = "not_implemented", 501
    meaning = "The request's Transfer-Encoding isn't supported."
    remedy = "Send the body without a Transfer-Encoding, or with `chunked`."


# Photos


class PhotoRejected(FacerecError):
    """The photo can't be used as sent. It is never retried, because the same bytes fail in the same way."""

    code, status = "photo_rejected", 422
    meaning = "The photo can't be used."
    remedy = "Send a different photo."


class PhotoMissing(PhotoRejected):
    code, status = "photo_missing", 400
    meaning = "The request contains no photo."
    remedy = "Send one in the multipart field `photo`, or as `photo.base64` in JSON."


class PhotoEmpty(PhotoRejected):
    code, status = "photo_empty", 400
    meaning = "The photo is empty (0 bytes)."
    remedy = "Check the file and send it again."


class PhotoTooLarge(PhotoRejected):
    code, status = "photo_too_large", 413
    meaning = "The photo is larger than 10 MB."
    remedy = "Scale it down or compress it more."


class NotAnImage(PhotoRejected):
    code, status = "not_an_image", 415
    meaning = "The file is not a JPEG, PNG, WebP or HEIC image."
    remedy = "Convert it to one of these formats."


class UnreadablePhoto(PhotoRejected):
    code, status = "unreadable_photo", 422
    meaning = "The photo is damaged and can't be decoded."
    remedy = "Export it again, or take a new photo."


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
    remedy = "Crop it to one face, or choose a face with `face`; `faces` lists their boxes."


class PoorQuality(PhotoRejected):
    """`reasons` has each measured and required value with a hint; `face` has the face's box."""

    code, status = "poor_quality", 422
    meaning = "The face is not clear enough to enrol."
    remedy = "See `reasons` for what to improve."


class FaceNotThere(PhotoRejected):
    code, status = "face_not_there", 422
    meaning = "No face was found in the box given in `face`."
    remedy = "Use one of the boxes listed in `faces`."


class ProcessingFailed(PhotoRejected):
    code, status = "processing_failed", 503
    meaning = "The photo could not be processed after several attempts."
    remedy = "Send it again. If the error persists, contact the operator."
    retry_after = RETRY_AFTER_SECONDS


# People and collections


class ConsentMissing(FacerecError):
    code, status = "consent_missing", 422
    meaning = "This collection requires consent, and this person's consent isn't recorded or has expired."
    remedy = "Record the person's consent, then try again."


class NotEnrolled(FacerecError):
    code, status = "not_enrolled", 409
    meaning = (
        "This person can't be compared because they have no accepted photo, are suspended, or "
        "lack valid consent."
    )
    remedy = "Enrol a photo, activate the person, or record their consent."


class Conflict(FacerecError):
    code, status = "conflict", 409
    meaning = "The request conflicts with stored data."
    remedy = "Fetch the current data and try again."


class IdempotencyConflict(Conflict):
    code, status = "idempotency_conflict", 409
    meaning = "This Idempotency-Key was already used for a different request."
    remedy = "Use a new Idempotency-Key for each new request."


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
    meaning = "Only two different people in the same collection can be merged."
    remedy = "Choose a different person as `other`."


class UndoneAlready(Conflict):
    code, status = "merge_undone", 409
    meaning = "This merge has already been undone."
    remedy = "No action is needed."


class UndoOutOfOrder(Conflict):
    """`merge` is the id of the latest merge, which comes first."""

    code, status = "undo_out_of_order", 409
    meaning = "A later merge of this person must be undone first."
    remedy = "Undo the merge whose id is `merge`, then this one."


class MergedErased(Conflict):
    code, status = "merged_erased", 409
    meaning = "The people in this merge have been erased."
    remedy = "No action is possible: the merge can no longer be undone."


# Parts of the service that are unavailable; the same request may succeed later


class IndexUnavailable(FacerecError):
    code, status = "index_unavailable", 503
    meaning = "The face index is temporarily unavailable."
    remedy = "Try again in a few seconds."
    retry_after = RETRY_AFTER_SECONDS


class Overloaded(FacerecError):
    """The request had no effect. It may succeed as soon as other requests have finished."""

    code, status = "overloaded", 503
    meaning = "Too many photos are waiting to be processed."
    remedy = "Try again in a second and send photos more slowly, or ask the operator to run more web workers."
    retry_after = 1


class DatabaseUnavailable(FacerecError):
    code, status = "database_unavailable", 503
    meaning = "The database is busy or unavailable."
    remedy = "Try again in a few seconds."
    retry_after = RETRY_AFTER_SECONDS


class StorageUnavailable(FacerecError):
    code, status = "storage_unavailable", 503
    meaning = "Photo files can't be read or stored at the moment."
    remedy = (
        "Try again in a few seconds. If the error persists, the operator should check the "
        "photo storage's free space and permissions."
    )
    retry_after = RETRY_AFTER_SECONDS


class ModelMissing(FacerecError):
    code, status = "model_missing", 503
    meaning = "A model file is missing."
    remedy = "The operator must run `manage.py fetch_models`."
    retry_after = RETRY_AFTER_SECONDS


# Photos and imports in buckets


class BucketNotAllowed(FacerecError):
    code, status = "bucket_not_allowed", 400
    meaning = "The service isn't allowed to read from this bucket."
    remedy = (
        "Ask the operator to add it to FACEREC_S3_INPUT_BUCKETS. "
        "The bucket that stores the enrolled photos can't be added."
    )


class ObjectNotFound(FacerecError):
    code, status = "object_not_found", 422
    meaning = "The object doesn't exist, or the service isn't allowed to read it."
    remedy = "Check the bucket name, the key (which is case-sensitive) and the service's read permission."


# Imports as a whole


class ImportRefused(FacerecError):
    """The source can't be imported as it is, and nothing in it was enrolled."""

    code, status = "import_refused", 422
    meaning = "The source contains entries that can't be imported."
    remedy = "Recreate it with the layout person/photo.jpg."


class ArchiveUnreadable(ImportRefused):
    code, status = "archive_unreadable", 422
    meaning = "The file is not a ZIP archive, or it is damaged."
    remedy = "Create the archive again."


class ArchiveTooLarge(ImportRefused):
    code, status = "archive_too_large", 413
    meaning = "The archive is larger than this service accepts."
    remedy = "Split it into smaller archives, or ask the operator to raise FACEREC_IMPORT_MAX_MB."


class TooManyFiles(ImportRefused):
    code, status = "too_many_files", 422
    meaning = "The source contains more than 100,000 files."
    remedy = "Split it into several imports."


class PeopleCsvInvalid(ImportRefused):
    """`errors` lists the mistakes with their line numbers."""

    code, status = "people_csv_invalid", 422
    meaning = "people.csv contains errors."
    remedy = "Correct the lines listed in `errors` and import again."


class SourceGone(ImportRefused):
    code, status = "source_gone", 422
    meaning = "The archive, folder or prefix doesn't exist, or contains no photos."
    remedy = "Check its name and contents."


# Single files of an import


class ItemProblem(FacerecError):
    """Base of the errors reported only in import results. It defines no code of its own."""

    status = 422
    reported_in = "import result"


class EntryUnreadable(ItemProblem):
    code = "entry_unreadable"
    meaning = (
        "The file can't be read from the source: it is damaged, unreadable, or uses an "
        "unsupported compression method."
    )
    remedy = "Replace it and import again."


class EntryMissing(EntryUnreadable):
    code = "entry_missing"
    meaning = "The file is no longer in the source."
    remedy = "Restore it and import again."


class NotImportable(ItemProblem):
    code = "not_importable"
    meaning = "The file's path doesn't show which person the photo belongs to."
    remedy = "Move or rename it to person/photo.jpg and import again."


class Duplicate(ItemProblem):
    code = "duplicate"
    meaning = "The same file occurs earlier in this import."
    remedy = "No action is needed."


class Cancelled(ItemProblem):
    code = "cancelled"
    meaning = "The import was cancelled before it reached this file."
    remedy = "Import again to enrol it."


class PersonErased(ItemProblem):
    code = "person_erased"
    meaning = "The person was erased during or after the import."
    remedy = "No action is needed: their data has been deleted."


class PhotoWithdrawn(ItemProblem):
    code = "photo_withdrawn"
    meaning = "The photo was withdrawn during the import."
    remedy = "To enrol it, import it again."


# Commands


class FetchFailed(FacerecError):
    """None of a file's sources returned the bytes that the catalogue describes."""

    code = "fetch_failed"
    meaning = "A file could not be downloaded from any of its sources."
    remedy = "Check the network connection and run the command again."
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
    """Return an error as it is stored in a row: code, detail and further members."""
    return {"code": error.code, "detail": error.message, **error.extra}


def refusal(rejection: Mapping[str, Any]) -> PhotoRejected:
    """Recreate the error from a stored rejection (code, detail and further members)."""
    kind = every_code().get(str(rejection.get("code")), PhotoRejected)
    extra = {name: value for name, value in rejection.items() if name not in ("code", "detail")}
    return (kind if issubclass(kind, PhotoRejected) else PhotoRejected)(rejection.get("detail"), extra=extra)
