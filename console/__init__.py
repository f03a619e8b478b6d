"""Pages for people: what the services answer, drawn as HTML. Read-only but for signing in and out.

Nothing imports the console. It calls services with (session, actor) and never touches other packages' rows.
"""
