"""Collections, people and merges in requests: the fields that clients can set."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from people.api.requests.base import Body, ModelBody
from people.api.requests.fields import ExternalId, Id
from people.api.responses.records import (
    COLLECTION_HELP,
    CONSENT,
    CONSENT_EXPIRES_AT,
    CONSENT_GIVEN_AT,
    PERSON_HELP,
    RETENTION,
    RETENTION_HELP,
    TUNING,
    RetentionSerializer,
)
from people.models import Collection, Person
from people.models.collection import validate_name

SETTABLE_STATUSES = [choice for choice in Person.Status.choices if choice[0] != Person.Status.MERGED]


@extend_schema_serializer(component_name="Retention")
class RetentionBody(ModelBody[Collection]):
    """Rules for erasing people automatically. They are applied every hour."""

    class Meta:
        model = Collection
        fields = RetentionSerializer.Meta.fields
        extra_kwargs = RETENTION_HELP


@extend_schema_serializer(component_name="NewCollection")
class CollectionBody(ModelBody[Collection]):
    """A new collection. Set at most one of `fpir`, `fmr` and `min_similarity`."""

    retention = RetentionBody(source="*", required=False, help_text=RETENTION)

    class Meta:
        model = Collection
        fields = ["name", *TUNING, "retention"]
        extra_kwargs = {
            **COLLECTION_HELP,
            # uniqueness is left to people.registration, so that a taken name is a conflict
            "name": {**COLLECTION_HELP["name"], "validators": [validate_name]},
            "description": {**COLLECTION_HELP["description"], "trim_whitespace": True},
        }
        validators: list[Any] = []


@extend_schema_serializer(component_name="CollectionChange")
class CollectionChangeBody(CollectionBody):
    """Changes to a collection. Fields that you leave out keep their values; the name can't be changed."""

    class Meta(CollectionBody.Meta):
        read_only_fields = ["name"]


@extend_schema_serializer(component_name="Consent")
class ConsentBody(Body):
    """The person's consent to be enrolled and identified."""

    given_at = serializers.DateTimeField(
        source="consent_given_at", allow_null=True, required=False, help_text=CONSENT_GIVEN_AT
    )
    expires_at = serializers.DateTimeField(
        source="consent_expires_at",
        allow_null=True,
        required=False,
        help_text=f"{CONSENT_EXPIRES_AT} It needs `given_at`.",
    )


@extend_schema_serializer(component_name="Person")
class PersonBody(ModelBody[Person]):
    """The fields of a person that you can set."""

    external_id = ExternalId(required=False)
    status = serializers.ChoiceField(
        SETTABLE_STATUSES,
        required=False,
        help_text="Suspended people stay enrolled but don't appear in search results.",
    )
    consent = ConsentBody(source="*", required=False, help_text=CONSENT)

    class Meta:
        model = Person
        fields = ["external_id", "name", "metadata", "status", "consent"]
        extra_kwargs = {**PERSON_HELP, "name": {**PERSON_HELP["name"], "trim_whitespace": True}}
        validators: list[Any] = []


@extend_schema_serializer(component_name="Merge")
class MergeBody(Body):
    """The person to merge."""

    other = Id(
        help_text="Id of the person to merge into the person in the path. Their photos are moved to "
        "that person."
    )
