"""How compiled kernels come to be: targets, JIT flags, building, loading, and the worker pool."""
