"""Say PASS or FAIL by limits: on the screen, in JSON, as a JUnit file and as annotations of a CI."""
