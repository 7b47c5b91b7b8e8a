"""Look at a user's data and say what to try first: `facts` measures, `rules` decides, `suite` writes it down."""
