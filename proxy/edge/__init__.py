"""What may happen to a request before an instance is asked, where its route wants more than to pass it on.

edge.py         all of it, in its order                   rewriting.py   another path for the instance
own_answers.py  redirects, fixed answers                  templates.py     what is put together of groups
sides.py        the services of a split
header_rules.py what is taken out of heads and put in     ruled_origin.py  the same where a request's head is written
mirror.py       which requests are copied elsewhere       mirror_metrics.py  what became of the copies
"""
