"""Settings for the whole suite: how long Hypothesis searches, and how kernels come to be.

`HYPOTHESIS_PROFILE=dev|ci|nightly` chooses the search; without it `CI=true` means ci, else dev.
"""

import os

# Before fastconv is imported: a test must exercise the compiled kernels, not the stand-in that
# answers while they are being built.
os.environ.setdefault("FASTCONV_POLICY", "compile")
# The shipped rates, not what this machine's owner has calibrated: no such file exists.
os.environ["FASTCONV_RATES"] = os.path.join(os.path.dirname(__file__), "not", "calibrated")

import pytest
from hypothesis import HealthCheck, settings

# So that a failing assert in there shows its values, as one in a test file does.
pytest.register_assert_rewrite("agreement")

# No deadline anywhere: the first call of a kernel compiles it. Drawing arrays of a drawn problem is
# slow by nature, so the health check for slow data would only report the design.
COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}

settings.register_profile("dev", max_examples=20, **COMMON)
settings.register_profile("ci", max_examples=40, derandomize=True, print_blob=True, **COMMON)
settings.register_profile("nightly", max_examples=2000, print_blob=True, **COMMON)

DEFAULT = "ci" if os.environ.get("CI", "").lower() == "true" else "dev"
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or DEFAULT)
