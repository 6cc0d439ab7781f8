"""How do the bytes get there and back, and who may see what happens?

A request, in the order in which it passes:

    listener.py      a bound address and its clients          http/           the data path, byte for byte
    tls/             TLS to the clients, and to instances
    proxied.py       PROXY headers of clients         proxy_protocol.py   as bytes
    route.py         a rule from request to service           counters.py     plain integers of the hot path
    routes.py        from a request to its service            sources.py      where a service's instances are found
    path_index.py    the routes of one host                   paths.py        a path as routes compare it
    conditions.py    what else routes look at                 splits.py       requests shared between services
    listening.py     what every listener does                 tcp/            raw connections

Around it:

    service.py       one service at work: pool, connections, probes, watch
    prober.py        asks instances whether they work         probe_pace.py   how often
    web.py           its HTTP server
    admin.py         the admin API                            metrics.py      the collector for Prometheus
    table.py         the order of all routes                  catalog.py       one catalog: its services and routes
    catalogs.py      all of them: the table, who leaves
    admin_endpoints.py  its part that drains one endpoint     admin_splits.py  its part about splits
    admin_changes.py  its part that reloads and drains all
    reload.py         what a reload has to do        reloading.py     does it
    config_file.py    the file on the disk           referred.py      the files it refers to
    reading.py        has another process read it    reader.py        that process
    systemd.py        what systemd is told           takeover/        by a new process, without a broken connection
    own_registry.py   the embedded registry
    journal.py       what happened, and why                   logs.py         JSON or text
    tasks.py         tasks with an owner                      descriptors.py  leaves some for what needs them

And the whole:

    assemble/        from the configuration to parts          application.py  starts and ends them
    settings.py      what a service has beside instances
    build_info.py    what is running
    command.py       where the command begins                 cli.py          the command line
    commands/        register, services, drain …       registrations.py  what this process registers
    simulate/        balancers in virtual time
    registries.py    makes what is watched            registrars.py  makes what is registered with
    demo.py, sample.py, registry_command.py
"""

from compiled.loading import install as _install

_install()
