"""Persistent volumes on an agent's disk: where they are, and which of them a container is given (PROTOCOL 2.6, 5.1)."""
from __future__ import absolute_import, division, print_function

__all__ = ['VOLUMES', 'Volumes']

#: The folder, in that of the agent, in which all volumes are.
VOLUMES = 'volumes'


class Volumes(object):
    """The persistent volumes of an agent that works in the folder `work_dir`.

    A volume is a folder, made by the first container that is given it. A volume that was destroyed is not given to
    anybody any more: one of the same name that is created later is another folder.
    """

    def __init__(self, work_dir):
        self._work_dir = work_dir
        #: How often a volume was destroyed, by its name.
        self._destroyed = {}

    def apply(self, operation):
        """An operation was done."""
        if operation.get('type') == 'DESTROY':
            for resource in operation.get('destroy', {}).get('volumes', ()):
                name = _name(resource)
                self._destroyed[name] = self._destroyed.get(name, 0) + 1

    def mounts(self, *lists):
        """What a container is given that holds lists of Resources: [{'path': in its sandbox, 'source': folder}]."""
        found = []
        for resources in lists:
            for resource in resources:
                disk = resource.get('disk', {})
                if 'persistence' in disk and 'volume' in disk:
                    mount = {'path': disk['volume']['container_path'], 'source': self._folder(resource)}
                    if mount not in found:
                        found.append(mount)
        return found

    def snapshot(self):
        """What a disk would hold."""
        return dict(self._destroyed)

    def recover(self, data):
        """Take up what :meth:`snapshot` gave."""
        self._destroyed.update(data)

    def _folder(self, resource):
        name = _name(resource)
        count = self._destroyed.get(name, 0)
        return '%s/%s/roles%s/%s' % (self._work_dir, VOLUMES, '.%d' % count if count else '', name)


def _name(resource):
    """Of all volumes of an agent, this one's: its role, as the name of a folder, and its id."""
    stack = resource.get('reservations')
    role = stack[-1]['role'] if stack else resource.get('role', '*')
    return '%s/%s' % (role.replace('/', ' '), resource['disk']['persistence']['id'])
