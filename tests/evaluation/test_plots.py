from __future__ import annotations

import io

import pytest
from PIL import Image

from people.evaluation.figures import evaluate
from people.evaluation.plots import error_curves, score_histogram
from tests.evaluation.samples import MANY, outcomes_of


@pytest.mark.parametrize("persons", [MANY, [0, 0, 1], [0]], ids=["many", "no errors", "nothing measured"])
def test_every_evaluation_can_be_plotted(persons: list[int]) -> None:
    evaluation = evaluate(outcomes_of(persons), 1)
    for png, size in ((error_curves(evaluation), (1320, 600)), (score_histogram(evaluation), (1080, 600))):
        image = Image.open(io.BytesIO(png))
        assert (image.format, image.size) == ("PNG", size)
