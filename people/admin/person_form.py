"""The form of a person, with photos to enrol."""

from __future__ import annotations

from typing import Any

from django import forms

from people.models import Person
from people.strict_json import StrictDecoder


class ManyFilesInput(forms.FileInput):
    allow_multiple_selected = True


class ManyFilesField(forms.FileField):
    """Several files in one field; the value is a list.

    The form doesn't check the files: each gets its own verdict when it is submitted, and a bad file
    doesn't stop the good ones.
    """

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        return data if isinstance(data, list) else [data] if data else []


class PersonForm(forms.ModelForm[Person]):
    photos = ManyFilesField(
        required=False,
        label="Add photos",
        widget=ManyFilesInput(attrs={"accept": "image/jpeg,image/png,image/webp,image/heic"}),
        help_text="One or more JPEG, PNG, WebP or HEIC files, up to 10 MB each.",
    )

    class Meta:
        model = Person
        fields = (
            "collection", "name", "external_id", "status",
            "consent_given_at", "consent_expires_at", "metadata",
        )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "metadata" in self.fields:  # not on a read-only page
            metadata: Any = self.fields["metadata"]
            metadata.decoder = StrictDecoder
        if "status" in self.fields:
            field: Any = self.fields["status"]
            field.choices = [
                (value, label) for value, label in Person.Status.choices if value != Person.Status.MERGED
            ]

    def _get_validation_exclusions(self) -> set[str]:
        # An existing person's collection is not in the form, but external_id must be unique in it.
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return excluded - {"collection"} if self.instance.collection_id else excluded

    def clean_metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] | None = self.cleaned_data["metadata"]
        return {} if metadata is None else metadata
