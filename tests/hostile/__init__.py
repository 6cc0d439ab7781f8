"""What strangers may do on a socket, and to the byte what of it comes through to the other side.

    rows.py          what a row says            requests/        rows: what a client sends, by concept
    driving.py       how a row is run           responses/       rows: what an instance sends, by concept
    chunks.py        chunks that are none       test_*.py        run every row, each in three ways

A row says what one side sends and all that may reach the other side, as bytes. It is run in one piece, byte by byte,
and behind a good exchange on the same connections, before readers that know each of its lines already. Whatever the
row, nothing else reaches anybody, no connection is kept that must not be, and the next client gets its own answer.
"""
