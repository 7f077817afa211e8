"""Choosing: which correct path is predicted to be fastest, and why."""
