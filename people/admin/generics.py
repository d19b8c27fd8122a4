"""Django's classes that are generic for the type checker alone, made subscriptable at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin

if TYPE_CHECKING:
    ModelAdminOf = admin.ModelAdmin
    ModelFormOf = forms.ModelForm
else:

    class ModelAdminOf(admin.ModelAdmin):
        def __class_getitem__(cls, _: Any) -> type:
            return cls

    class ModelFormOf(forms.ModelForm):
        def __class_getitem__(cls, _: Any) -> type:
            return cls
