"""The numbers of each chapter step, computed by this library and asserted against NumPy and SciPy."""
