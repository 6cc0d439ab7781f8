"""Tests of how a new process takes the place of a running one."""
