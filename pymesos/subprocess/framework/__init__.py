"""The framework behind the commands: which waits, which runs where, what the master is told, what agents are sent."""
