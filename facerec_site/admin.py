"""The admin site: Django's own, with the pages that show faces."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.urls import URLPattern, URLResolver, path


class FacerecAdminSite(AdminSite):
    site_header = "facerec-api"
    site_title = "facerec-api"
    index_title = "People and faces"
    index_template = "people/index.html"
    enable_nav_sidebar = False  # the pages need their width for photos

    def get_urls(self) -> list[URLPattern | URLResolver]:
        # these modules register with the site, which must be there first
        from people.admin.identify import identify
        from people.admin.merges import merge, undo
        from people.admin.photos import choose_face, image, thumbnail, withdraw
        from people.admin.retention import dry_run

        def page(route: str, view: Any, name: str) -> URLPattern:
            pattern: URLPattern = path(route, self.admin_view(view), name=name)
            return pattern

        return [
            page("identify/", identify, "identify"),
            page("persons/<uuid:first>/merge/<uuid:second>/", merge, "person_merge"),
            page("merges/<uuid:merge_id>/undo/", undo, "merge_undo"),
            page("collections/<uuid:collection_id>/retention/", dry_run, "collection_retention"),
            page("photos/<uuid:photo_id>/image/", image, "photo_image"),
            page("photos/<uuid:photo_id>/thumbnail/", thumbnail, "photo_thumbnail"),
            page("photos/<uuid:photo_id>/withdraw/", withdraw, "photo_withdraw"),
            page("photos/<uuid:photo_id>/face/", choose_face, "photo_choose_face"),
            *super().get_urls(),
        ]
