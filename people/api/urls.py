"""The API's routes, under /api/v1/."""

from __future__ import annotations

from django.urls import path

from people.api.views.collections import CollectionsView, CollectionView
from people.api.views.faces import CompareView, DetectView, EngineView, IdentifyView, VerifyView
from people.api.views.imports import ImportCancelView, ImportItemsView, ImportsView, ImportView
from people.api.views.merges import MergesView, MergeView, UndoView
from people.api.views.persons import ErasureView, PersonsView, PersonView
from people.api.views.photos import PhotosView, PhotoView

_COLLECTION = "collections/<str:collection>/"
_PERSON = _COLLECTION + "persons/<uuid:person>/"
_IMPORT = _COLLECTION + "imports/<uuid:job>/"

urlpatterns = [
    path("collections/", CollectionsView.as_view(), name="collections"),
    path(_COLLECTION, CollectionView.as_view(), name="collection"),
    path(_COLLECTION + "identify/", IdentifyView.as_view(), name="identify"),
    path(_COLLECTION + "persons/", PersonsView.as_view(), name="persons"),
    path(_PERSON, PersonView.as_view(), name="person"),
    path(_PERSON + "merge/", MergesView.as_view(), name="person_merge"),
    path(_PERSON + "verify/", VerifyView.as_view(), name="verify"),
    path(_PERSON + "photos/", PhotosView.as_view(), name="photos"),
    path(_PERSON + "photos/<uuid:photo>/", PhotoView.as_view(), name="photo"),
    path(_COLLECTION + "imports/", ImportsView.as_view(), name="imports"),
    path(_IMPORT, ImportView.as_view(), name="import"),
    path(_IMPORT + "items/", ImportItemsView.as_view(), name="import_items"),
    path(_IMPORT + "cancel/", ImportCancelView.as_view(), name="import_cancel"),
    path("merges/<uuid:merge>/", MergeView.as_view(), name="merge"),
    path("merges/<uuid:merge>/undo/", UndoView.as_view(), name="merge_undo"),
    path("compare/", CompareView.as_view(), name="compare"),
    path("detect/", DetectView.as_view(), name="detect"),
    path("erasures/<uuid:erasure>/", ErasureView.as_view(), name="erasure"),
    path("engine/", EngineView.as_view(), name="engine"),
]
