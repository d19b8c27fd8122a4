from __future__ import annotations

import uuid

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q

from people import strict_json
from people.models.guarded import GuardedModel, GuardedQuerySet

validate_key = RegexValidator(
    r"\A[a-zA-Z0-9_.\-:]{1,255}\Z", "Use 1 to 255 characters: letters, digits and _ . - : only."
)
COLLECTION_NAME = r"^\.*[a-zA-Z0-9_\-:][a-zA-Z0-9_.\-:]*$"
"""Like a key, but not dots alone, which clients remove from URLs."""
validate_name = RegexValidator(
    COLLECTION_NAME.removesuffix("$") + r"\Z",
    "Use 1 to 255 characters: letters, digits and _ . - : only, but not dots alone.",
)


class Collection(GuardedModel):
    """A gallery. People in different collections are never compared."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(
        max_length=255,
        unique=True,
        validators=[validate_name],
        help_text="Used in API URLs. Can't be changed later.",
    )
    description = models.TextField(blank=True, max_length=1000)
    requires_consent = models.BooleanField(
        default=False, help_text="Enrol and identify only people whose consent is recorded and valid."
    )
    fpir = models.FloatField(
        "false positive identification rate (FPIR)",
        null=True,
        blank=True,
        validators=[MinValueValidator(1e-6), MaxValueValidator(0.5)],
        help_text="Share of searches for a stranger that may return a match. Default 0.01.",
    )
    fmr = models.FloatField(
        "false match rate (FMR)",
        null=True,
        blank=True,
        validators=[MinValueValidator(1e-9), MaxValueValidator(0.1)],
        help_text="Share of pairs of different people that may match, whatever the collection's size.",
    )
    min_similarity = models.FloatField(
        "minimum similarity",
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
        help_text="A fixed threshold, 0–100, whatever the collection's size.",
    )
    erase_without_consent = models.BooleanField(
        default=False,
        help_text=(
            "Erase people one day after their consent expires, and people without recorded consent one day "
            "after their first photo. Withdrawn consent counts as none."
        ),
    )
    erase_unseen_after_days = models.PositiveIntegerField(
        "erase if unseen for (days)",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(36_500)],
        help_text="Erase people who haven't been enrolled, matched or changed for this many days.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = GuardedQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        indexes = [models.Index(fields=["-created_at", "-id"])]  # the API's list
        constraints = [
            models.CheckConstraint(
                condition=(
                    Q(fpir=None, fmr=None)
                    | Q(fpir=None, min_similarity=None)
                    | Q(fmr=None, min_similarity=None)
                ),
                name="collection_has_one_threshold",
                violation_error_message="Set only one of fpir, fmr and min_similarity.",
            )
        ]

    def clean(self) -> None:
        try:
            strict_json.check_text(self.description)
        except ValueError as error:
            raise ValidationError({"description": f"{error}."}) from error

    def __str__(self) -> str:
        return self.name
