"""Metrics: pure functions of the truth and the scores, one number each."""
