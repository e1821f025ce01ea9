"""Commands of ``make.py``, which as a script knows nothing of tests, in processes as they have."""

from tests import forking
from tests.regression import make

make.process = forking.run
