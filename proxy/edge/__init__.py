"""What may happen to a request before an instance is asked, where its route wants more than to pass it on.

edge.py         all of it, in its order                   rewriting.py   another path for the instance
own_answers.py  redirects, fixed answers                  templates.py     what is put together of groups
sides.py        the services of a split
header_rules.py what is taken out of heads and put in     ruled_origin.py  the same where a request's head is written
mirror.py       which requests are copied elsewhere       mirror_metrics.py  what became of the copies

Whether it may pass:

guard.py        all that is asked, in its order           admission.py   a request that waits for the verdict
access.py       lists of addresses                        step.py        who must be waited for
rate_limit.py   how many requests pass                    buckets.py     token buckets in bounded memory
basic_auth.py   a name and a password                     verdicts.py    passwords checked already
users_file.py   the file of users, followed               users.py       its text, read
hashes.py       what htpasswd writes                      request_fields.py  fields that no client may write
forward_auth.py what a service is asked                   inquiry.py     asking it
guard_metrics.py   their counters, for Prometheus
"""
