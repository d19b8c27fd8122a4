"""The admin site: what is on it, its front page, and the page that belongs to no model.

The models are registered here and not by autodiscovery: Django makes the default site while it
discovers, and what a package registers while its site is being made is lost.
"""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, path

from people.admin.api_key import ApiKeyAdmin
from people.admin.collection import CollectionAdmin
from people.admin.identify import identify_view
from people.admin.person import PersonAdmin
from people.admin.photo_views import may_see_people
from people.admin.records import AuditEventAdmin, ErasureAdmin
from people.models import ApiKey, AuditEvent, Collection, Erasure, Person, Photo


class FacerecAdminSite(AdminSite):
    site_header = "facerec-api"
    site_title = "facerec-api"
    index_title = "Faces"
    site_url = None

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        self.register(Person, PersonAdmin)
        self.register(Collection, CollectionAdmin)
        self.register(ApiKey, ApiKeyAdmin)
        self.register(AuditEvent, AuditEventAdmin)
        self.register(Erasure, ErasureAdmin)

    def get_urls(self) -> list[URLResolver | URLPattern]:
        return [path("identify/", self.admin_view(self.identify), name="identify"), *super().get_urls()]

    def identify(self, request: HttpRequest) -> HttpResponse:
        return identify_view(request, self.each_context(request))

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        return {**super().each_context(request), "may_see_people": may_see_people(request)}

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context: dict[str, Any] = dict(extra_context or {})
        if may_see_people(request):
            context["counts"] = {
                "people": Person.objects.count(),
                "accepted": Photo.objects.filter(status=Photo.Status.ACCEPTED).count(),
                "pending": Photo.objects.filter(status=Photo.Status.PENDING).count(),
                "rejected": Photo.objects.filter(status=Photo.Status.REJECTED).count(),
            }
        return super().index(request, context)
