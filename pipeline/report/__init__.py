"""The report of a set: figures, charts, cues, examples to hear, as one page of HTML."""
