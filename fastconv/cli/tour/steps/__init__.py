"""The numbers of each step, computed by this library and asserted against NumPy and SciPy."""
