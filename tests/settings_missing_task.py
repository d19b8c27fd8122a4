"""The settings of tests/settings_processes.py, with a task in the schedule that doesn't exist."""

from tests.settings_processes import *  # noqa: F403
from tests.settings_processes import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.missing_task.MissingTask"]
