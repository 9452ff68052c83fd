"""Look around on any machine: the real controller over simulated hosts, with an example cloud that lives.

Everything it shows is labelled as simulated, and nothing of it shows a promise.
"""
