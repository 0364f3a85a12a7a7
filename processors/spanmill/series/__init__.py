"""Families and series: what the exposition reads."""
