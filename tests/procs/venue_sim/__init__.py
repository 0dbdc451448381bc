"""Tests of the simulated venues."""
