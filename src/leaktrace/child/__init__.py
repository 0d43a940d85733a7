"""pytest inside a child: collect once, run suspects in forks, measure, explain; nothing here runs in the user's process."""
