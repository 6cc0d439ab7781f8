"""What did the user ask for? One YAML file becomes one immutable `Config`, or one error that names every mistake.

From the inside out:

- `units`       words with a unit or a form: durations, sizes, shares, addresses, paths
- `texts`       names, hosts, URL paths, tokens: text that must have a form
- `statuses`    sets of HTTP statuses
- `retry_on`    what a request is tried again for
- `trusted`     the proxies whose word is taken
- `declaring`   what models are declared with: pydantic, or `without_pydantic` for those who only have a configuration
- `frozen`      what makes it all immutable
- `together`    which keys of one mapping go together, where more than one part has such a rule
- `traffic`     the keys of time-outs, limits and retries, whole and as a lower level has them
- `logs`        the keys of the log and the access log
- `probe`       the keys of the check that is made of every instance
- `registries/` the keys of each registry
- `own_registries`  the keys that other packages bring along
- `discovery`   where a service's instances are found: which registries there are, one or several for a service
- `register`    the provider's side: what this process registers, and where
- `provider`    a configuration that registers something and balances nothing
- `balancing`   the keys of who gets how much, whatever the policy
- `acme`        the keys of certificates that are got from an authority
- `guards`      what stands before a listener or a route: lists of addresses, and the keys of the next three
- `rate_limit`, `basic_auth`, `forward_auth`  the keys of each
- `own_fields`  the headers that pointsman itself has the say on
- `listener_tls` the keys of TLS to the clients of a listener
- `upstream_tls` the keys of TLS to the instances of a service
- `listener`, `route`, `service`, `health`  the keys of each
- `reload`      when the file is read again
- `takeover`    how a new process takes the place of a running one
- `header_rules`  what is taken out of headers and put in, at three levels
- `mirror`      who gets copies of a route's requests
- `conditions`, `own_answers`, `split`  what a route may want of a request, and what else than a service it may lead to
- `expressions` regular expressions that nobody can make slow, and what is put together of their groups
- `tcp`, `tcp_references`  the keys of a TCP listener, and what they say of services
- `model`       the top of the file; `Config` is the root
- `levels`      what holds for a request: the service over the listener over the top of the file
- `schema`      the same as JSON schema, for editors and for `pointsman schema`
- `source`      YAML text → plain data, with the line of every key, and variables put in
- `explain`     pydantic's findings → sentences that say what to write
- `references`  what one part of the file says of another
- `errors`      a problem, and the error that carries all of them
- `load`        the way through: a file in, a `Config` or a `ConfigError` out
- `example.yaml`  every key with its default; tests keep it true
"""
