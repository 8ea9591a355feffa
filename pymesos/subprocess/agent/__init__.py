"""What runs on an agent, behind :mod:`pymesos.subprocess.executor`: commands, their processes, the way home."""
