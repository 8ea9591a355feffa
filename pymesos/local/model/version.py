"""Which Mesos the embedded cluster says that it is."""
from __future__ import absolute_import, division, print_function

__all__ = ['BUILD', 'VERSION']

#: What it behaves like.
VERSION = '1.11.0'

#: What ``/version`` shows, ``/state`` too, and GET_VERSION as `version_info`: the build that it was compared with.
BUILD = {'build_date': '2020-11-24 15:38:37', 'build_time': 1606232317.0, 'build_user': 'ubuntu',
         'git_sha': '04bc7ee1984d86fbb0bd782ccc69ce44c13ae4b9', 'git_tag': VERSION, 'version': VERSION}
