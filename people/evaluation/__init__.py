"""Measures how well an engine detects, verifies and identifies the people in a folder of photos.

The metrics are those of ISO/IEC 19795-1. Each module uses only modules listed before it:

    outcomes       the outcome of each photo: number of faces, whether it is refused, and two templates
    outcome_cache  stores outcomes, so that an interrupted evaluation can resume
    scores         verification: the comparison scores of all pairs of photos
    searches       identification: the best candidate of each probe among the enrolled people
    intervals      95% intervals, by a bootstrap over people
    figures        the numbers: rates, their intervals and thresholds
    folder         all of the above for a folder of photos
    json_files     the figures and the calibration, as JSON files
    plots          plots of the error curves and the scores
    report         the figures as text, and as a page with the plots

Scores are cosines of unit vectors. Rates are fractions, 0–1. A rate that is based on too few
comparisons is None, never an estimate. Only `report` imports Django.
"""
