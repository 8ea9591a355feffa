"""The embedded cluster's master and agents as pure state machines: a stimulus goes in, effects come out.

Nothing in here touches a socket, a file, a thread, a process or a clock: time and randomness come from a
:class:`~pymesos.local.model.world.World`, and what is to happen outside is left in ``model.effects``.
"""
