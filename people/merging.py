"""Make two records of one human one, and back."""

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
    """Move the photos of `other` to `kept`; `other` is never found again, unless this is undone.

    `other` keeps name, external id and metadata. A photo that `kept` has already stays where it is.
    Raises NotMergeable, PersonMerged, or Person.DoesNotExist when one was erased meanwhile.
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
        moved = _photos_to_move(kept, other)
        done = Merge.objects.create(
            collection_id=kept.collection_id,
            kept_id=kept.pk,
            merged_id=other.pk,
            merged_status=other.status,
            photo_ids=[str(photo_id) for photo_id in moved],
            merged_by=actor.label,
        )
        other.status, other.merged_into = Person.Status.MERGED, kept
        other.save(update_fields=["status", "merged_into", "updated_at"])
        _move(moved, kept, other)
        audit.record(
            "person.merged", actor=actor, collection_id=kept.collection_id, object_id=kept.pk,
            details={"merge": str(done.pk), "merged": str(other.pk), "photos": len(moved)},
        )  # fmt: skip
    kept.touch()
    return done


def undo(merge: Merge, *, actor: Actor) -> Merge:
    """Put back what came over and still exists; what was enrolled since stays with the kept person.

    The latest merge of a person is undone first. Raises UndoneAlready, UndoOutOfOrder or MergedErased.
    """
    with transaction.atomic():
        rows = _lock(merge.kept_id, merge.merged_id)  # persons first, as everywhere
        merge = Merge.objects.select_for_update().get(pk=merge.pk)
        if merge.undone_at is not None:
            raise UndoneAlready
        if len(rows) < 2:
            raise MergedErased
        if (later := _latest_after(merge)) is not None:
            raise UndoOutOfOrder(extra={"merge": str(later.pk)})
        kept, other = rows[merge.kept_id], rows[merge.merged_id]
        back = list(Photo.objects.filter(pk__in=merge.photo_ids, person=kept).values_list("pk", flat=True))
        other.status, other.merged_into = merge.merged_status, None
        # as a merged person they were seen by nobody: retention counts from now
        other.last_interaction_at = timezone.now()
        other.save(update_fields=["status", "merged_into", "last_interaction_at", "updated_at"])
        _move(back, other, kept)
        merge.undone_at = timezone.now()
        merge.save(update_fields=["undone_at"])
        audit.record(
            "merge.undone", actor=actor, collection_id=merge.collection_id, object_id=kept.pk,
            details={"merge": str(merge.pk), "merged": str(other.pk), "photos": len(back)},
        )  # fmt: skip
    kept.touch()
    return merge


def _lock(*person_ids: UUID) -> dict[UUID, Person]:
    """Lock those who exist, in the order of ids, so that two merges don't wait for each other."""
    return {
        one.pk: one for one in Person.objects.select_for_update().filter(pk__in=person_ids).order_by("pk")
    }


def _photos_to_move(kept: Person, other: Person) -> list[UUID]:
    coming = Photo.objects.filter(person=other)
    usable = coming.exclude(status=Photo.Status.REJECTED).values("sha256")
    # as when it is sent again: a refused photo makes room for the same one
    for refused in Photo.objects.filter(person=kept, status=Photo.Status.REJECTED, sha256__in=usable):
        enrolment.remove(refused)
    present = Photo.objects.filter(person=kept).values("sha256")
    return list(coming.exclude(sha256__in=present).values_list("pk", flat=True))


def _move(photo_ids: list[UUID], to: Person, come_from: Person) -> None:
    Photo.objects.filter(pk__in=photo_ids).update(person=to)
    Template.objects.filter(photo__in=photo_ids).update(person=to)
    mean_templates.recompute(to)
    mean_templates.recompute(come_from)


def _latest_after(merge: Merge) -> Merge | None:
    """Return the latest merge that still holds, of those made later of the same kept person."""
    of_kept = Q(kept_id=merge.kept_id) | Q(merged_id=merge.kept_id)
    later = Merge.objects.filter(of_kept, undone_at=None, merged_at__gte=merge.merged_at)
    return later.exclude(pk=merge.pk).order_by("-merged_at").first()
