"""Which of the interpreters' own tests of subprocess are not run on ours, and why.

(test or class, why, the Pythons that have it; None: all since some Python, the newest among them)
"""
from __future__ import absolute_import, division, print_function

#: The newest Python for which the list is kept: it has every test whose Pythons are None.
NEWEST = '3.13'

INHERITS = 'the command inherits descriptors besides the standard streams, or with their mode: it is another machine\'s'
CHILDREN = 'reads the list of dropped children that have not been waited for; commands are no children of the program'
WAITS = 'waits for the command by its pid as a parent does: its parent is the executor'

SKIPPED = [
    ('POSIXProcessTestCase.test_close_fds', INHERITS, None),
    ('POSIXProcessTestCase.test_pass_fds', INHERITS, None),
    ('POSIXProcessTestCase.test_pass_fds_inheritable', INHERITS, None),
    ('POSIXProcessTestCase.test_pass_fds_redirected', INHERITS, None),
    ('POSIXProcessTestCase.test_swap_std_fds_with_one_closed',
     'the command writes to its standard input: it inherits a file that was opened for both', None),
    ('POSIXProcessTestCase.test_zombie_fast_process_del', CHILDREN, None),
    ('POSIXProcessTestCase.test_leak_fast_process_del_killed', CHILDREN, None),
    ('POSIXProcessTestCase.test_stopped', WAITS, None),
    ('POSIXProcessTestCase.test_send_signal_race', WAITS, None),
    ('POSIXProcessTestCase.test_exception_errpipe_normal',
     'puts another function in the place of the C function that forks', None),
    ('POSIXProcessTestCase.test_exception_errpipe_bad_data',
     'puts another function in the place of the C function that forks', None),
    ('POSIXProcessTestCase.test__use_vfork', 'looks whether vfork is used', ('3.13',)),
    ('RunFuncTestCase.test__use_vfork', 'looks whether vfork is used', ('3.10',)),
    ('ProcessTestCase.test__use_vfork', 'looks whether vfork is used', ('3.11', '3.12')),
    ('ProcessTestCaseNoPoll.test__use_vfork', 'looks whether vfork is used', ('3.11', '3.12')),
    ('POSIXProcessTestCase.test_preexec_errpipe_does_not_double_close_pipes',
     'overrides _execute_child with the 17 arguments that the method has in 2.7', ('2.7',)),
    ('POSIXProcessTestCase.test_exceptions',
     'looks for a line of subprocess.py of 2.7 in the traceback of the child', ('2.7',)),
    ('HelperFunctionTests.test_eintr_retry_call', 'calls a function that subprocess of 2.7 has for itself', ('2.7',)),
]

#: Tests that fail where the machine stands still for a moment: a command, or what it prints, has to be there within a
#: second or three. They are tried again.
TIMED = frozenset(['test_check_output_timeout', 'test_communicate_timeout', 'test_communicate_timeout_large_output',
                   'test_run_with_shell_timeout_and_capture_output', 'test_wait_timeout'])
