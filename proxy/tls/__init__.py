"""TLS to clients and instances, by the standard library's ssl: which certificate, who is who, and nothing of HTTP.

certificate.py   what a certificate says                  pair.py        it and its key, in their files
certificates.py  those of a listener, followed            speaking.py    a handshake: SNI, and alerts
handshakes.py    from a socket to a protocol              secured.py     what a handshake came to
plain.py         a client that speaks no TLS              files.py       from the keys to all of this
showing.py       for metrics and the admin API             instances.py    the other side: to instances
"""
