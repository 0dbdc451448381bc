"""From changed books to signals, and a reason for every candidate that did not become one."""
