"""The part that runs on a hypervisor: does commands, reports what it sees, refuses what breaks a promise. Decides nothing."""
