"""A thread that serves HTTP/1.1: what the scripted servers of `testing` and the embedded cluster of `local` run on."""
