"""How well an engine detects, verifies and identifies the people in a folder of photos.

The metrics are those of ISO/IEC 19795-1. Each module uses only the ones before it:

    outcomes       what an engine makes of each photo: a face or none, refused or not, two templates
    outcome_cache  keeps outcomes, so that an interrupted evaluation resumes
    scores         verification: the scores of all pairs of photos
    searches       identification: what each probe finds among the enrolled people
    intervals      95 % intervals, by drawing people again
    figures        the numbers: rates, their intervals and thresholds
    folder         all of the above for a folder of photos
    json_files     the figures and the calibration, as files
    plots          the error curves and the scores, drawn
    report         the figures as text, and as a page with the plots

Scores are cosines of unit vectors. Rates are fractions, 0–1. A rate that too few comparisons
support is None, never a guess. Only `report` knows Django.
"""
