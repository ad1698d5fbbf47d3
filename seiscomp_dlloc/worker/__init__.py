"""A resident process with warm models behind a Unix socket; its protocol, its client and its launcher.

``protocol``, ``client`` and ``launch`` also run under the host's interpreter: the standard library in Python 3.8.
"""
