"""Which of it runs as machine code? The modules that every request passes through can be built from the same sources.

    modules.py       which those are
    stamp.py         what a build was made from, and whether that is what is here now
    loading.py       decides, once a process, and has Python import what was built
    build.py         builds, with mypyc and a C compiler: python -m compiled

`proxy` and `balancers` call `loading.install` before anything of theirs is imported. See docs/compiled.md.
"""
