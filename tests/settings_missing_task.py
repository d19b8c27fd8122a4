"""The settings of tests/settings_processes.py, with a schedule that names a task which doesn't exist."""

from tests.settings_processes import *  # noqa: F403
from tests.settings_processes import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.missing_task.MissingTask"]
