"""Sockets, timers and threads: what carries out the decisions of :mod:`pymesos.wire`.

``loop`` turns, ``dial`` makes connections, ``stream`` reads a subscription, ``channel`` sends calls, ``mailbox`` runs
the user's callbacks, ``engine`` does what the session orders.
"""
