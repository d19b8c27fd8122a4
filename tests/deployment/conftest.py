from __future__ import annotations

import sys
from pathlib import Path

# where deploy/facerec-deploy finds its modules
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "deploy"))
