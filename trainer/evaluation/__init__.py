"""The measuring side: clip scores, consistency, domain probe, score files, paired comparison."""
