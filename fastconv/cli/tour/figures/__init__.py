"""The figures of the tour: one function per picture, from a step's numbers to a matplotlib Figure.

Figures are made without pyplot and drawn by Agg, under the style of `style.drawing`: nothing
global changes.
"""
