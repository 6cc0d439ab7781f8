"""What is written down of each exchange, and how does it reach its file without anybody waiting for it?

A record, in the order in which it passes:

    record.py        what there is to say of an exchange      access_log.py   which ones are written; the way in
    formats.py       JSON, CLF, combined, a template          writer.py       a thread that writes what waits
                                                              destination.py  a file that is rotated, stdout, stderr
What the formats are made of:

    json_lines.py    one JSON object a line                   values.py       times, and text that cannot forge a line
    placeholders.py  the fields of a line of text             redaction.py    secrets in targets and headers
"""
