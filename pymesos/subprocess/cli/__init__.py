"""What ``pymesos run`` does with its commands: their input, their output, their outcomes."""
