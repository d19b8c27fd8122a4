"""One tree of errors: a stable code, an HTTP status, and a sentence a person can act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RETRY_AFTER_SECONDS = 5


class FacerecError(Exception):
    """Base of every error this product raises on purpose.

    `code` is stable and part of the API; `status` is the HTTP status it answers with;
    `extra` holds further JSON-serialisable members of the problem document.
    """

    code = "error"
    status = 500
    message = "Something went wrong."
    retry_after = RETRY_AFTER_SECONDS
    """Seconds, told with a status of 503."""

    def __init__(self, message: str | None = None, *, extra: Mapping[str, Any] | None = None) -> None:
        self.message = message or type(self).message
        self.extra: dict[str, Any] = dict(extra or {})
        super().__init__(self.message)


class PhotoRejected(FacerecError):
    """The photo, as sent, can't be used. Never retried: the same bytes fail the same way."""

    code = "photo_rejected"
    status = 422
    message = "The photo can't be used."


class PhotoMissing(PhotoRejected):
    code, status = "photo_missing", 400
    message = "No photo was sent. Send one as multipart field `photo`, or as JSON photo.base64."


class PhotoEmpty(PhotoRejected):
    code, status = "photo_empty", 400
    message = "The photo has no bytes. Send the file itself."


class PhotoTooLarge(PhotoRejected):
    code, status = "photo_too_large", 413
    message = "The photo is larger than 10 MB. Send a smaller file."


class NotAnImage(PhotoRejected):
    code, status = "not_an_image", 415
    message = "The file is not a JPEG, PNG, WebP or HEIC image. Convert it to one of these."


class UnreadablePhoto(PhotoRejected):
    code = "unreadable_photo"
    message = "The photo is damaged and can't be decoded. Export or take it again."


class TooManyPixels(PhotoRejected):
    code = "too_many_pixels"
    message = "The photo has too many pixels. Scale it down to 16 megapixels or fewer."


class NoFaceFound(PhotoRejected):
    code = "no_face"
    message = "No face was found in the photo. Send a photo that shows one face, from the front."


class SeveralFacesFound(PhotoRejected):
    code = "several_faces"
    message = "The photo shows several faces. Crop it to one, or name the face with `face`."


class PoorQuality(PhotoRejected):
    code = "poor_quality"
    message = "The face is not clear enough to enrol. See `reasons` for what to improve."


class FaceNotThere(PhotoRejected):
    code = "face_not_there"
    message = "No detected face lies at the box given in `face`. Use a box from `detect`."


class ConsentMissing(FacerecError):
    code, status = "consent_missing", 422
    message = "This collection enrols only people whose consent is recorded and has not expired."


class Conflict(FacerecError):
    code, status = "conflict", 409
    message = "The request conflicts with what is already stored."


class IdempotencyConflict(Conflict):
    code = "idempotency_conflict"
    message = "This Idempotency-Key was used with another body. Use a new key."


class IdempotencyInProgress(Conflict):
    code = "idempotency_in_progress"
    message = "A request with this Idempotency-Key is still being worked on. Try again shortly."


class PersonMerged(Conflict):
    """`kept` tells the id of who stands for this human now."""

    code = "person_merged"
    message = "This person was merged into another. Use the person whose id is `kept`, or undo the merge."


class NotMergeable(Conflict):
    code = "not_mergeable"
    message = "A person can be merged only with another person of the same collection. Name two."


class UndoneAlready(Conflict):
    code = "merge_undone"
    message = "This merge was undone already. There is nothing left to undo."


class UndoOutOfOrder(Conflict):
    """`merge` tells the id of the latest merge, which comes first."""

    code = "undo_out_of_order"
    message = "A later merge of this person must be undone first. Its id is `merge`."


class MergedErased(Conflict):
    code = "merged_erased"
    message = "The people of this merge were erased. It can't be undone."


class IndexUnavailable(FacerecError):
    """The index can't answer now; the same request may succeed later."""

    code, status = "index_unavailable", 503
    message = "The face index is not available now. Try again in a few seconds."


class Overloaded(FacerecError):
    """Nothing was done. The same request succeeds as soon as others are answered."""

    code, status = "overloaded", 503
    message = "Too many photos are waiting. Send it again in a second, more slowly, or run more workers."
    retry_after = 1


class DatabaseUnavailable(FacerecError):
    code, status = "database_unavailable", 503
    message = "The database is busy or away. Try again in a few seconds."


class ModelMissing(FacerecError):
    code, status = "model_missing", 503
    message = "A model file is missing. Run `manage.py fetch_models`."


class NotEnrolled(FacerecError):
    code, status = "not_enrolled", 409
    message = "This person has no template to compare with: no accepted photo, suspended, or without consent."


class ProcessingFailed(PhotoRejected):
    code, status = "processing_failed", 503
    message = "The photo could not be processed after several tries. Send it again, or ask the operator."


class BucketNotAllowed(FacerecError):
    code, status = "bucket_not_allowed", 400
    message = (
        "Photos may not be read from this bucket. Ask the operator to add it to FACEREC_S3_INPUT_BUCKETS; "
        "the bucket that keeps the enrolled photos can't be added."
    )


class ObjectNotFound(FacerecError):
    code, status = "object_not_found", 422
    message = "The bucket has no such object. Check bucket and key; keys tell upper from lower case."


class StorageUnavailable(FacerecError):
    """The same request may succeed later."""

    code, status = "storage_unavailable", 503
    message = "The object storage can't be read now. Try again, or have the service's right to read checked."


class ImportRefused(FacerecError):
    """The whole source can't be imported as it is; nothing of it was enrolled."""

    code, status = "import_refused", 422
    message = "The source holds what no import may hold. Make it anew, as person/photo.jpg."


class ArchiveUnreadable(ImportRefused):
    code = "archive_unreadable"
    message = "The file is not a ZIP archive, or it is damaged. Make it again."


class ArchiveTooLarge(ImportRefused):
    code, status = "archive_too_large", 413
    message = "The archive is larger than this service takes. Split it, or raise FACEREC_IMPORT_MAX_MB."


class TooManyFiles(ImportRefused):
    code = "too_many_files"
    message = "The source holds more than 100,000 files. Split it."


class PeopleCsvInvalid(ImportRefused):
    code = "people_csv_invalid"
    message = "people.csv has mistakes; see `errors` for the lines. Correct them and import again."


class SourceGone(ImportRefused):
    code = "source_gone"
    message = "The archive, folder or prefix is not there, or holds no photo. Check its name."


class EntryUnreadable(FacerecError):
    code, status = "entry_unreadable", 422
    message = "The file could not be read from its source: it is damaged, or packed in an unusual way."


class EntryMissing(EntryUnreadable):
    code = "entry_missing"
    message = "The file is not in its source any more."


class EvaluationFailed(FacerecError):
    """Raised by `manage.py evaluate` only, never answered by the API."""

    code = "evaluation_failed"
    message = "The photos can't be evaluated."


class EvaluationInterrupted(EvaluationFailed):
    code = "evaluation_interrupted"
    message = "Interrupted. Run the same command again to resume."


def as_stored(error: FacerecError, code: str | None = None) -> dict[str, Any]:
    """Return what a row keeps of an error: code, detail and further members; `code` instead of its own."""
    return {"code": code or error.code, "detail": error.message, **error.extra}


def refusal(rejection: Mapping[str, Any]) -> PhotoRejected:
    """Return the error that a stored rejection (code, detail and further members) was made from."""
    kinds = {kind.code: kind for kind in PhotoRejected.__subclasses__()}
    extra = {name: value for name, value in rejection.items() if name not in ("code", "detail")}
    return kinds.get(str(rejection.get("code")), PhotoRejected)(rejection.get("detail"), extra=extra)
