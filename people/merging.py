"""Merge two records of the same human, and undo a merge."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from people import audit, enrolment, mean_templates
from people.actors import Actor
from people.errors import MergedErased, NotMergeable, UndoneAlready, UndoOutOfOrder
from people.models import Merge, Person, Photo, Template


def merge(kept: Person, other: Person, *, actor: Actor) -> Merge:
    """Move the photos of `other` to `kept`, and hide `other` from searches until the merge is undone.

    `other` keeps its name, external id and metadata, and any photo that `kept` already has.
    Raises NotMergeable, PersonMerged, or Person.DoesNotExist if one of them has been erased.
    """
    with transaction.atomic():
        rows = _lock(kept.pk, other.pk)
        if kept.pk not in rows or other.pk not in rows:
            raise Person.DoesNotExist
        kept, other = rows[kept.pk], rows[other.pk]
        if kept == other or kept.collection_id != other.collection_id:
            raise NotMergeable
        kept.check_not_merged()
        other.check_not_merged()
        moved_ids = _photos_to_move(kept, other)
        merge_record = Merge.objects.create(
            collection_id=kept.collection_id,
            kept_id=kept.pk,
            merged_id=other.pk,
            merged_status=other.status,
            photo_ids=[str(photo_id) for photo_id in moved_ids],
            merged_by=actor.label,
        )
        other.status, other.merged_into = Person.Status.MERGED, kept
        other.save(update_fields=["status", "merged_into", "updated_at"])
        _move(moved_ids, to=kept, origin=other)
        audit.record(
            "person.merged", actor=actor, collection_id=kept.collection_id, object_id=kept.pk,
            details={"merge": str(merge_record.pk), "merged": str(other.pk), "photos": len(moved_ids)},
        )  # fmt: skip
    kept.touch()
    return merge_record


def undo(merge: Merge, *, actor: Actor) -> Merge:
    """Move the photos that the merge moved back to their person, unless they have since been deleted.

    Photos enrolled since the merge stay with the kept person. A person's latest merge must be undone
    first. Raises UndoneAlready, UndoOutOfOrder or MergedErased.
    """
    with transaction.atomic():
        rows = _lock(merge.kept_id, merge.merged_id)  # always lock people first
        merge = Merge.objects.select_for_update().get(pk=merge.pk)
        if merge.undone_at is not None:
            raise UndoneAlready
        if len(rows) < 2:
            raise MergedErased
        if (later := _latest_after(merge)) is not None:
            raise UndoOutOfOrder(extra={"merge": str(later.pk)})
        kept, other = rows[merge.kept_id], rows[merge.merged_id]
        returned_ids = list(
            Photo.objects.filter(pk__in=merge.photo_ids, person=kept).values_list("pk", flat=True)
        )
        other.status, other.merged_into = merge.merged_status, None
        # searches could not match them while merged, so retention counts from now
        other.last_interaction_at = timezone.now()
        other.save(update_fields=["status", "merged_into", "last_interaction_at", "updated_at"])
        _move(returned_ids, to=other, origin=kept)
        merge.undone_at = timezone.now()
        merge.save(update_fields=["undone_at"])
        audit.record(
            "merge.undone", actor=actor, collection_id=merge.collection_id, object_id=kept.pk,
            details={"merge": str(merge.pk), "merged": str(other.pk), "photos": len(returned_ids)},
        )  # fmt: skip
    kept.touch()
    return merge


def _lock(*person_ids: UUID) -> dict[UUID, Person]:
    """Lock the people who exist, ordered by id so that two merges can't deadlock; return them by id."""
    persons = Person.objects.select_for_update().filter(pk__in=person_ids).order_by("pk")
    return {person.pk: person for person in persons}


def _photos_to_move(kept: Person, other: Person) -> list[UUID]:
    photos_of_other = Photo.objects.filter(person=other)
    usable = photos_of_other.exclude(status=Photo.Status.REJECTED).values("sha256")
    # as on resubmission: a rejected photo is replaced by the same photo
    for rejected in Photo.objects.filter(person=kept, status=Photo.Status.REJECTED, sha256__in=usable):
        enrolment.remove(rejected)
    present = Photo.objects.filter(person=kept).values("sha256")
    return list(photos_of_other.exclude(sha256__in=present).values_list("pk", flat=True))


def _move(photo_ids: list[UUID], *, to: Person, origin: Person) -> None:
    Photo.objects.filter(pk__in=photo_ids).update(person=to)
    Template.objects.filter(photo__in=photo_ids).update(person=to)
    mean_templates.recompute(to)
    mean_templates.recompute(origin)


def _latest_after(merge: Merge) -> Merge | None:
    """Return the latest merge that involves the same kept person, is newer than this one and not undone."""
    of_kept = Q(kept_id=merge.kept_id) | Q(merged_id=merge.kept_id)
    later = Merge.objects.filter(of_kept, undone_at=None, merged_at__gte=merge.merged_at)
    return later.exclude(pk=merge.pk).order_by("-merged_at").first()
