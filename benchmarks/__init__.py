"""Benchmarks: one registry of workloads, read by asv, pytest-benchmark and the command line."""
