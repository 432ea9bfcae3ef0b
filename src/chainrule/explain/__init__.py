"""Explanations of a gradient: formulas, traces and pictures."""
