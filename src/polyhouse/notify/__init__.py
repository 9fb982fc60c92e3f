"""Notifications: what happened that somebody wants to be told of, and how they are told.

``rules`` says what is watched, ``watch`` looks at the stores for it, ``notifier`` throttles and sends.
"""
