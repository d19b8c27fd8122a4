"""Only the domain's operations write rows: admin pages, views, commands and tasks never do so directly."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.contrib.auth.models import User
from django.db import models
from django.test import RequestFactory

from people.admin.base import AuditedAdmin

ROOT = Path(__file__).resolve().parents[1]
EDGES = (
    *(ROOT / "people" / name for name in ("admin", "api", "management")),
    ROOT / "people" / "tasks.py",
    ROOT / "people" / "delivery.py",
    ROOT / "facerec_site",
)
ALLOWED = {
    # stored responses belong to the API, not to the domain
    "people/api/idempotency.py": {"row.delete()", "IdempotentAnswer.objects", "rows."},
    # a file of measurements
    "people/management/commands/evaluate.py": {"cache.save()", "self.save()"},
}
CREATES = {"create", "bulk_create", "get_or_create", "update_or_create", "bulk_update"}


MODULES = [path for edge in EDGES for path in (sorted(edge.rglob("*.py")) if edge.is_dir() else [edge])]


def _writes(call: ast.Call) -> bool:
    """Return whether the call looks like a write through a model, a manager or a query set."""
    if not isinstance(call.func, ast.Attribute):
        return False
    name, names = call.func.attr, {keyword.arg for keyword in call.keywords}
    if name in CREATES:
        return ".objects" in ast.unparse(call.func.value)
    if name in ("save", "delete"):
        return not call.args and names <= {"update_fields", "force_insert", "force_update", "using"}
    return name == "update" and not call.args and bool(names)


def _writes_in(source: str) -> list[str]:
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [ast.unparse(call) for call in calls if _writes(call)]


@pytest.mark.parametrize(
    "source",
    [
        "person.save()",
        "person.save(update_fields=['name'])",
        "Person.objects.create(name='Ada')",
        "Person.objects.filter(pk=1).update(name='Ada')",
        "photo.delete()",
        "Photo.objects.all().delete()",
    ],
)
def test_a_write_is_detected(source: str) -> None:
    assert _writes_in(source)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_at_the_edge_write_no_rows(path: Path) -> None:
    allowed = ALLOWED.get(str(path.relative_to(ROOT)), set())
    writes = [call for call in _writes_in(path.read_text()) if not any(start in call for start in allowed)]
    assert writes == []


ADMINS = [site for model, site in admin.site._registry.items() if model._meta.app_label == "people"]


@pytest.mark.parametrize("site", ADMINS, ids=lambda site: type(site).__name__)
def test_every_admin_that_can_write_overrides_how_it_writes(
    site: ModelAdmin[models.Model], rf: RequestFactory, staff: User
) -> None:
    request = rf.get("/")
    request.user = staff
    assert isinstance(site, AuditedAdmin)
    overridden = {
        name for name in dir(ModelAdmin) if getattr(type(site), name) is not getattr(ModelAdmin, name)
    }
    if site.has_change_permission(request):
        assert "save_model" in overridden
    if site.has_delete_permission(request):
        assert {"delete_model", "delete_queryset"} <= overridden
    assert not site.inlines
    assert not site.list_editable
