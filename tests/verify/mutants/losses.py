"""Losses and tangents that are not what they are called."""
