"""Hypothesis without its deadline: a noisy machine is no reason for a test to fail."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
