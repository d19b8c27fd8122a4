from __future__ import annotations

import uuid

import numpy as np
from django.db import models
from numpy.typing import NDArray

from people.models.collection import Collection
from people.models.guarded import GuardedModel, GuardedQuerySet
from people.models.person import Person
from people.models.photo import Photo


def pack(vector: NDArray[np.float32]) -> bytes:
    """Return the (d,) vector as little-endian float32 bytes."""
    return vector.astype("<f4", copy=False).tobytes()


def unpack(packed: bytes | memoryview) -> NDArray[np.float32]:
    """Return the (d,) float32 vector that `pack` packed, read-only."""
    return np.frombuffer(packed, dtype="<f4")


class Template(GuardedModel):
    """What one engine extracted from the face in one photo."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    photo = models.ForeignKey(Photo, on_delete=models.PROTECT, related_name="templates")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="templates")
    engine = models.CharField(
        max_length=100, help_text="Name and version; vectors of different engines are never compared."
    )
    vector = models.BinaryField(help_text="(d,) float32 of unit length.")
    box = models.JSONField(help_text="left, top, width and height in pixels of the stored photo.")
    landmarks = models.JSONField()
    confidence = models.FloatField()
    quality = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    objects = GuardedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["photo", "engine"], name="template_is_one_a_photo_and_engine")
        ]
        indexes = [models.Index(fields=["person", "engine"])]

    def __str__(self) -> str:
        return f"Template {self.id}"


class MeanTemplate(GuardedModel):
    """The mean of a person's templates, normalised to unit length: what searches compare with."""

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="mean_templates")
    collection = models.ForeignKey(Collection, on_delete=models.PROTECT, related_name="+")
    engine = models.CharField(max_length=100)
    vector = models.BinaryField(help_text="(d,) float32 of unit length.")
    vector_id = models.UUIDField(
        default=uuid.uuid4, unique=True, help_text="Its id in a remote index; every new vector gets a new id."
    )
    sent_at = models.DateTimeField(
        null=True, help_text="When the last attempt to send it to the index began."
    )
    sent_position = models.BigIntegerField(
        null=True, help_text="Position of that write in the index's log, if reported."
    )
    indexed_at = models.DateTimeField(null=True, help_text="When the remote index was seen to contain it.")
    templates = models.PositiveIntegerField(help_text="Number of templates that it averages.")

    objects = GuardedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person", "engine"], name="mean_is_one_a_person_and_engine")
        ]
        indexes = [
            models.Index(fields=["collection", "engine"]),
            models.Index(
                fields=["collection", "engine", "sent_at"],
                condition=models.Q(indexed_at=None),
                name="mean_not_indexed",
            ),
        ]

    def __str__(self) -> str:
        return f"Mean template of {self.person_id}"
