"""Strict JSON is JSON without anything that is ambiguous or can't be stored."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from people.strict_json import MAX_DEPTH, StrictDecoder, check, check_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**300), 10**300) | TEXTS
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=30,
)  # fmt: skip


def _decoded(text: str) -> Any:
    return json.loads(text, cls=StrictDecoder)


@given(VALUES, st.booleans())
def test_values_that_can_be_stored_are_decoded_as_by_python(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert _decoded(text) == value
    check(value)


@given(st.text(max_size=50))
def test_text_that_is_not_json_raises_only_json_decode_error(text: str) -> None:
    try:
        value = _decoded(text)
    except json.JSONDecodeError:
        return
    assert value == json.loads(text)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_nesting_is_limited(opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    assert _decoded(opening * MAX_DEPTH + "1" + closing * MAX_DEPTH)
    for depth in (MAX_DEPTH + 1, 900, sys.getrecursionlimit(), 100_000):
        with pytest.raises(json.JSONDecodeError, match="nested"):
            _decoded(opening * depth + "1" + closing * depth)


@pytest.mark.parametrize(
    ("text", "reason"),
    [('"\\u0000"', "NUL"), ('{"\\u0000": 1}', "NUL"), ('[["\\ud800"]]', "surrogate"),
     ('{"\\udfff": 1}', "surrogate"),
     ("NaN", "NaN"), ("-Infinity", "Infinity"), ("1e309", "too large"), ("-1e309", "too large"),
     ("9" * 310, "too large"), ("-" + "9" * 5_000, "too large"), ('{"a": 1, "b": {"c": 1, "c": 1}}', "`c`"),
     ("", "Expecting"), ("[1 2]", "Expecting"), ("'a'", "Expecting")],
)  # fmt: skip
def test_json_that_is_not_strict_is_rejected_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(json.JSONDecodeError, match=reason):
        _decoded(text)


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {"a": {"b": "\0"}}, {"\ud800": 1}])
def test_values_that_were_not_decoded_here_can_be_checked(value: Any) -> None:
    with pytest.raises(ValueError, match=r"NaN|NUL|surrogate"):
        check(value)


@pytest.mark.parametrize("text", ["", "Ada", "Amélie", "가", "😀", "\ud7ff\ue000", "\u0001"])
def test_texts_that_can_be_stored_are_accepted(text: str) -> None:
    check_text(text)
