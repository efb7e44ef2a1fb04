"""What gives scores: functions, files of scores, local classifiers, HTTP servers."""
