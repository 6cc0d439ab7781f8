"""The commands that have more to say than a few lines of cli.py.

running         the way into the event loop and out of it again, with an exit status
register        `pointsman register`: an instance in a registry for as long as its process runs
child           that process
naming          which registry is meant by `consul:http://127.0.0.1:8500`
discover        `pointsman discover`: the instances of a service, followed live
services        `pointsman services`: the services that a registry holds
drain           `pointsman drain`: no new requests for an endpoint, told to a running pointsman
showing         instances and services as tables and as JSON
"""
