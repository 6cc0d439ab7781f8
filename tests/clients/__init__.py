"""Real clients through pointsman: what people use, before a site that has something for each of them.

`libraries` are the HTTP libraries behind one face, so that all can be held to the same contract; `browser` drives
a Chromium; `suites` runs the libraries' own tests, which the plugins in through/ send here.
"""
