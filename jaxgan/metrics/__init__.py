"""Metrics: functions of arrays, independent of networks and data sets."""
