"""Every snippet of README.md is run: a pointsman is started with it, and shows what the words above it promise.

snippets        what README.md has of them, by the headings that they stand under
staging         a snippet with addresses, files and instances that the machine has, and a pointsman that runs with it
instances       what stands behind it, and what it was asked
consoles        the commands of a console, and what they say
test_covered    no snippet is without a test
test_*          the features, a file for each row of README's table
"""
