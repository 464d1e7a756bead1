"""Metrics: functions of arrays that know neither networks nor data sets."""
