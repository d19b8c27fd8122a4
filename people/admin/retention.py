"""The page that lists the people whom a collection's rules would erase next. It erases nobody."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.views.decorators.http import require_GET

from people import retention
from people.admin.staff_texts import code_in_words
from people.models import Collection

SHOWN_PEOPLE = 200


@require_GET
def dry_run(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    """List the ids of people who are due, with the rule and since when, but without names."""
    if not request.user.has_perms(["people.view_collection", "people.view_person"]):
        raise PermissionDenied
    collection = get_object_or_404(Collection, pk=collection_id)
    counts: Counter[str] = Counter()
    shown: list[dict[str, Any]] = []
    for due_person in retention.due(collection):
        rule = code_in_words(due_person.rule)
        counts[rule] += 1
        if len(shown) < SHOWN_PEOPLE:
            shown.append({"person_id": due_person.person_id, "rule": rule, "since": due_person.since})
    context = {
        **admin.site.each_context(request),
        "title": f"Retention for {collection}: dry run",
        "collection": collection,
        "has_rules": bool(retention.rules(collection)),
        "counts": sorted(counts.items()),
        "total": counts.total(),
        "shown": shown,
    }
    return TemplateResponse(request, "people/retention.html", context)
