from __future__ import annotations

import json
import logging
import uuid
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DatabaseError, models, transaction
from django.db.models import Q
from django.utils import timezone

from people import strict_json
from people.errors import PersonMerged
from people.models.collection import Collection, validate_key
from people.models.guarded import GuardedModel, GuardedQuerySet

logger = logging.getLogger(__name__)
MAX_METADATA_BYTES = 4096
TOUCHED_EVERY = timedelta(hours=1)
NOT_AN_OBJECT = "Metadata must be a JSON object."


def validate_metadata(value: Any) -> None:
    if not isinstance(value, dict):
        raise ValidationError(NOT_AN_OBJECT)
    try:
        strict_json.check(value)
    except ValueError as error:
        raise ValidationError(f"{error}.") from error
    if len(json.dumps(value, ensure_ascii=False).encode()) > MAX_METADATA_BYTES:
        raise ValidationError("Metadata can have at most 4 KB.")


class PersonQuerySet(GuardedQuerySet["Person"]):
    def not_merged(self) -> PersonQuerySet:
        """Return one record for each human: leave out records that were merged into another."""
        return self.exclude(status=Person.Status.MERGED)


class _RecordsChanged(Exception):
    """A merge or an undo changed the records in the meantime."""


class Person(GuardedModel):
    """One human being in one collection."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        SUSPENDED = "suspended"
        MERGED = "merged"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    collection = models.ForeignKey(Collection, on_delete=models.PROTECT, related_name="persons")
    external_id = models.CharField(
        "external ID",
        max_length=255,
        null=True,
        blank=True,
        validators=[validate_key],
        help_text="Your own ID for this person, unique in the collection.",
    )
    name = models.CharField(max_length=255, blank=True)
    metadata = models.JSONField(default=dict, blank=True, validators=[validate_metadata])
    status = models.CharField(
        max_length=10,
        choices=Status.choices,
        default=Status.ACTIVE,
        help_text="Suspended people stay enrolled but don't appear in search results.",
    )
    merged_into = models.ForeignKey(
        "self", null=True, blank=True, editable=False, on_delete=models.PROTECT, related_name="merged"
    )
    last_interaction_at = models.DateTimeField(
        default=timezone.now,
        editable=False,
        help_text="When the person was last enrolled, matched or changed; updated at most once an hour.",
    )
    consent_given_at = models.DateTimeField(null=True, blank=True)
    consent_expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = PersonQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name_plural = "people"
        constraints = [
            models.UniqueConstraint(
                fields=["collection", "external_id"],
                # NULLs never collide. If they were included, SQLite would use this index for lists, and sort
                condition=Q(external_id__isnull=False),
                name="person_external_id_is_unique_in_collection",
                violation_error_code="unique",
                violation_error_message="Another person in this collection already has this external ID.",
            )
        ]
        indexes = [  # one for each order of the API's list
            models.Index(fields=["collection", "-created_at", "-id"]),
            models.Index(fields=["collection", "name", "id"]),
            models.Index(fields=["collection", "external_id", "id"]),
        ]

    def __str__(self) -> str:
        return self.name or self.external_id or str(self.id)

    def clean(self) -> None:
        self.external_id = self.external_id or None
        if not isinstance(self.metadata, dict):  # Django doesn't validate empty values such as []
            raise ValidationError({"metadata": NOT_AN_OBJECT})
        try:
            strict_json.check_text(self.name)
        except ValueError as error:
            raise ValidationError({"name": f"{error}."}) from error
        if self.consent_expires_at and not self.consent_given_at:
            raise ValidationError({"consent_given_at": "Also enter when the consent was given."})

    def kept(self) -> Person:
        """Return the record that represents this human now: this one, unless it was merged."""
        person = self
        while person.merged_into is not None:
            person = person.merged_into
        return person

    def check_not_merged(self) -> None:
        """Raise PersonMerged if this record was merged into another."""
        if self.status == Person.Status.MERGED:
            raise PersonMerged(extra={"kept": str(self.kept().pk)})

    @classmethod
    def all_record_ids(cls, person_id: uuid.UUID) -> set[uuid.UUID]:
        """Return the ids of all records of this human: the kept record, and those merged into it.

        Empty if there is no such person.
        """
        kept_id, parents = person_id, cls.objects.filter(pk=person_id).values_list("merged_into", flat=True)
        while (parent_id := parents.first()) is not None:
            kept_id = parent_id
            parents = cls.objects.filter(pk=parent_id).values_list("merged_into", flat=True)
        record_ids: set[uuid.UUID] = set()
        level = set(cls.objects.filter(pk=kept_id).values_list("pk", flat=True))
        while level:
            record_ids |= level
            level = set(cls.objects.filter(merged_into__in=level).values_list("pk", flat=True))
        return record_ids

    @classmethod
    def lock_all_records(cls, person_id: uuid.UUID) -> list[Person]:
        """Lock all records of this human until the caller's transaction ends, and return them.

        Empty if there is no such person. Rows are locked in the order of their ids, as in every operation.
        """
        while True:
            # the error leaves the inner transaction and releases the locks, so there is no deadlock
            with suppress(_RecordsChanged), transaction.atomic():
                ids = cls.all_record_ids(person_id)
                rows = list(cls.objects.select_for_update().filter(pk__in=ids).order_by("pk"))
                if cls.all_record_ids(person_id) != {row.pk for row in rows}:
                    raise _RecordsChanged
                return rows

    def touch(self) -> None:
        """Record that this active person was enrolled, matched or changed; at most once an hour.

        Database errors are logged, not raised: the operation that it is part of matters more.
        """
        now = timezone.now()
        if self.status != Person.Status.ACTIVE or self.last_interaction_at > now - TOUCHED_EVERY:
            return
        unchanged = Person.objects.filter(
            pk=self.pk, status=Person.Status.ACTIVE, last_interaction_at=self.last_interaction_at
        )
        try:
            with transaction.atomic():
                unchanged.update(last_interaction_at=now)
        except DatabaseError:
            logger.exception("Could not record the last interaction of person %s", self.pk)

    def has_consent(self) -> bool:
        """Return whether consent is recorded, has begun and has not expired."""
        now = timezone.now()
        return bool(
            self.consent_given_at
            and self.consent_given_at <= now
            and (self.consent_expires_at is None or self.consent_expires_at > now)
        )
