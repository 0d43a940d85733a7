"""pytest inside a child: collect once, run suspects in forks, measure, explain; the user's process runs none of it."""
