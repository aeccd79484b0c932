"""``prep``: corpora as downloaded -> plan -> audited, paired clean/noisy shards."""
