"""The wire format, sans I/O: no socket, thread, clock, file, environment or logger in here."""
from __future__ import absolute_import, division, print_function
