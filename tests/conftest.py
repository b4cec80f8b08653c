"""Ctrl-C is heard in tests and in the processes they start, however the tests were started.

A shell starts background jobs deaf to it, and Python then leaves it ignored.
"""

import signal
import threading

if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)
