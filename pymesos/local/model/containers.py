"""The agent's operator API for containers: nested and standalone ones, their input and output (PROTOCOL 4.3, 4.4)."""
from __future__ import absolute_import, division, print_function

from .effects import Reply, refuse

__all__ = ['Containers']


class Containers(object):
    """Answers what an operator asks of the containers in `agent.tree`, and owns those that it launches."""

    def __init__(self, agent):
        self._agent = agent

    def call(self, call, principal=None):
        """The Reply to an agent.Call about containers; 501 for what is not known."""
        return Reply(501)

    def on_timer(self, *key):
        """A Timer whose key is ('containers',) + `key` is due."""

    def on_stream_closed(self, stream):
        """A client has closed an output stream."""

    def on_output(self, container, name, data):
        """A Container has written bytes; also told by the other owners."""

    def attach_begin(self, call):
        return refuse(501, '')

    def attach_data(self, key, process_io):
        pass

    def attach_end(self, key):
        pass

    # ---- the owner of containers

    def container_started(self, container):
        pass

    def container_failed(self, container, text):
        pass

    def container_exited(self, container):
        pass

    def container_output(self, container, name, data):
        self.on_output(container, name, data)
