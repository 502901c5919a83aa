"""What the extension expects of the WebUIs, held to their sources.

`table.json` lists every name, call and id of a WebUI that our code touches, with what each of the
four WebUIs says about it. `ours` finds the names in our code, `tree` finds them in a WebUI's
source. Both read syntax trees: nothing of a WebUI is imported or copied.
"""
