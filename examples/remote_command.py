"""Two commands on the cluster that MESOS_MASTER names, or on this machine: python remote_command.py"""
from __future__ import absolute_import, division, print_function

from pymesos.subprocess import PIPE, Popen, check_output

print('one ran on', check_output(['hostname'], text=True).strip())
sort = Popen(['sort'], stdin=PIPE, stdout=PIPE, text=True, cpus=0.5, mem=256)
print('another', sort.communicate('sorted\nhas\n')[0].split(), 'on', sort.hostname)
