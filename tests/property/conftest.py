"""For all property tests: no example has a deadline, and a slow machine is no failure."""
from __future__ import absolute_import, division, print_function

from hypothesis import HealthCheck, settings

settings.register_profile('unhurried', settings(deadline=None, suppress_health_check=[HealthCheck.too_slow]))
settings.load_profile('unhurried')
