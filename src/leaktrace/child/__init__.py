"""pytest inside a child: collect once, run suspects in forks, measure, explain.

Nothing of it runs in the user's process. `plugin` replaces pytest's loop by the parent's requests (`serve`), `neutral`
leaves out what of other plugins records or reports, `measure` and `screening` repeat and read, `explain` asks why.
"""
