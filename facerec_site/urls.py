"""All URLs of the service, except those of the API, which are in people/api/urls.py."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from facerec_site.health import ready
from facerec_site.metrics import metrics

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("metrics", metrics, name="metrics"),
    path("ready", ready, name="ready"),  # HealthMiddleware responds to /health
    path("admin/", admin.site.urls),
    path("api/v1/", include("people.api.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
]

handler400 = "facerec_site.errors.bad_request"
handler403 = "facerec_site.errors.permission_denied"
handler404 = "facerec_site.errors.not_found"
handler500 = "facerec_site.errors.server_error"
