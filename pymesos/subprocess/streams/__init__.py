"""Standard streams between a program and its commands: the protocol, the links, the port that executors dial."""
