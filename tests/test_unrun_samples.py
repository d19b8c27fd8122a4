"""Each sample in the Markdown pages is run by a test, or listed with the reason why it isn't."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests import markdown_samples
from tests.documented_samples import LISTED, samples
from tests.markdown_samples import PAGES

TESTS = Path(__file__).with_name("test_documented_samples.py")


def _taken_samples() -> Counter[str]:
    """Return how many samples of each page the tests take, as in `first, second = samples("README.md")`."""
    taken: Counter[str] = Counter()
    for node in ast.walk(ast.parse(TESTS.read_text())):
        match node:
            case ast.Assign(
                targets=[ast.Tuple(elts=names)],
                value=ast.Call(func=ast.Name(id="samples"), args=[ast.Constant(value=str(page))]),
            ):
                taken[page] += len(names)
    return taken


TAKEN = _taken_samples()


def test_the_samples_of_several_pages_are_taken() -> None:
    assert len(TAKEN) > 5
    assert set(TAKEN) <= set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_every_sample_is_run_or_listed_with_a_reason(page: str) -> None:
    names = [sample.name for sample in samples(page)]
    assert len(names) == TAKEN[page], names


def test_every_listed_sample_is_in_a_page_once() -> None:
    names = Counter(sample.name for page in PAGES for sample in markdown_samples.samples(page))
    assert {name: names[name] for name in LISTED if names[name] != 1} == {}
