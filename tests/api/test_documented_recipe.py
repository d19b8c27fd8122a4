"""The test in the recipe "Add an error code" (docs/contributing.md) fits the API's tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from people.models import Person
from tests import markdown_samples
from tests.api import test_faces  # the module that the recipe extends
from tests.api.program import Program


def test_only_the_new_code_is_missing_for_the_recipes_test(
    api: Program, enrolled: Callable[..., Person]
) -> None:
    texts = [sample.text for sample in markdown_samples.samples("docs/contributing.md")]
    (text,) = [text for text in texts if text.startswith("def test_")]
    calls: list[tuple[Any, ...]] = []
    names = dict(vars(test_faces))
    names["problem"] = lambda response, *expected: calls.append(
        (response.status_code, response.json()["code"], *expected)
    )
    exec(text, names)  # noqa: S102 - the test exists only in the page
    names["test_a_suspended_person_cannot_be_verified"](api, enrolled)
    assert calls == [(409, "not_enrolled", 409, "person_suspended")]
