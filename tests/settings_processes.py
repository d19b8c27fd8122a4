"""The development settings, with the fake engine if FACEREC_TEST_FAKE_ENGINE is set."""

import os

from facerec_site.settings.development import *  # noqa: F403

if os.environ.get("FACEREC_TEST_FAKE_ENGINE"):
    FACE_ENGINE = {"BACKEND": "tests.fakes.FakeEngine", "OPTIONS": {}}
