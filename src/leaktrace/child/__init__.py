"""pytest inside a child: collect once, run suspects in forks, measure, explain; nothing of it runs elsewhere."""
