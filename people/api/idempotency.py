"""Idempotency-Key: a request that is sent twice is carried out once, and gets the same response twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from people.api.authentication import actor
from people.errors import IdempotencyConflict, IdempotencyInProgress
from people.models import IdempotentAnswer, Person

KEPT_FOR = timedelta(hours=24)
ABANDONED_AFTER = timedelta(seconds=60)
"""A request without a stored response by then belonged to a process that died."""
_KEPT_HEADERS = ("Location", "Preference-Applied")


def once(
    request: Request, work: Callable[[], Response], person_id: Callable[[Response], UUID | str | None]
) -> Response:
    """Do `work`, or return the stored response to an earlier request with the same key.

    `person_id` extracts a person's id from a response. Erasing that person deletes the stored response.
    Raises IdempotencyConflict or IdempotencyInProgress.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return work()
    if not 1 <= len(key) <= 255 or not key.isascii() or not key.isprintable():
        raise serializers.ValidationError({"Idempotency-Key": "Use 1 to 255 printable ASCII characters."})
    row = _claim(actor(request).label, key, _hash(request))
    if row.status is not None:
        headers = {**row.headers, "Idempotent-Replayed": "true"}
        return Response(row.body, status=row.status, headers=headers)
    try:
        response = work()
    except BaseException:
        # errors aren't stored, so the client may send the same request again
        row.delete()
        raise
    id_of_person = person_id(response)
    with transaction.atomic():
        if id_of_person and not Person.objects.select_for_update().filter(pk=id_of_person).exists():
            row.delete()  # the person was erased meanwhile: nothing about them may be stored
            return response
        IdempotentAnswer.objects.filter(pk=row.pk).update(
            status=response.status_code,
            headers={name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers},
            body=response.data,
            person_id=id_of_person,
        )
    return response


def delete_expired_responses() -> None:
    """Delete the stored responses that are older than KEPT_FOR."""
    IdempotentAnswer.objects.filter(created_at__lt=timezone.now() - KEPT_FOR).delete()


def _claim(actor_label: str, key: str, request_hash: str) -> IdempotentAnswer:
    now = timezone.now()
    rows = IdempotentAnswer.objects.filter(actor=actor_label, key=key)
    rows.filter(created_at__lt=now - KEPT_FOR).delete()
    rows.filter(status=None, created_at__lt=now - ABANDONED_AFTER).delete()
    try:
        with transaction.atomic():
            return IdempotentAnswer.objects.create(actor=actor_label, key=key, request_hash=request_hash)
    except IntegrityError:
        row = rows.first()
    if row is None:
        raise IdempotencyInProgress
    if row.request_hash != request_hash:
        raise IdempotencyConflict
    if row.status is None:
        raise IdempotencyInProgress
    return row


def _hash(request: Request) -> str:
    """Hash the request's method, path and content.

    Multipart bodies are hashed by part, since their boundary differs each time.
    """
    content = [request.method, request.get_full_path(), _plain(request.data)]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, UploadedFile):
        value.seek(0)
        digest = hashlib.sha256()
        for chunk in value.chunks():  # an archive doesn't fit in memory
            digest.update(chunk)
        value.seek(0)
        return digest.hexdigest()
    if hasattr(value, "lists"):
        return {name: [_plain(item) for item in items] for name, items in value.lists()}
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return value
