"""The part that runs on a hypervisor: does commands, tells what it sees, refuses what breaks a promise.

It decides nothing.
"""
