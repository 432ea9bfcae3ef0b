"""Compile a recorded program to fused native loops."""
