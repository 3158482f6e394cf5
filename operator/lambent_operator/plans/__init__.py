"""Wanted and observed in, changes out: the same answer whatever woke the operator, and however often it is asked."""
