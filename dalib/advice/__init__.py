"""Look at a user's data and say what to try first.

In the order in which the files import each other: `material` (nouns); `images`, `rows`, `features` (what lies in a
path, as material), `opening` (which of them); `distances`, `facts` (measures); `thresholds`, `findings`, `evidence`,
`rules` (decides); `suite` (writes it down); `advise` (all of it).
"""
