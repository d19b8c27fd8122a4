"""The samples in the Markdown pages work as printed, on a running service with the sample collection."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import fakes, markdown_samples
from tests.markdown_samples import PAGES, ROOT, Sample
from tests.service import Service, running

pytestmark = [
    pytest.mark.once,  # the service has an SQLite database, as in the pages
    pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed"),
]

RUN = [
    "README.md: export KEY=frk_…   # the API key that make run printed",
    'README.md: {"engine": "yunet-sface/1", "collection_size": 3,',
    "docs/api.md: export KEY=frk_…   # your API key",
    'docs/api.md: curl -H "Authorization: Bearer $KEY" -F photo=@var/samples/obama3.jpg \\',
    'docs/api.md: curl -H "Authorization: Bearer $KEY" http://localhost:8000/api/schema/ > facerec.yaml',
    "docs/api.md: import os",
]
