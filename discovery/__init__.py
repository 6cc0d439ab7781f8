"""Who is out there? What registries say of the instances of a service.

instance        the values that all registries speak in: Instance, Snapshot
registry        the seam: a registry is an object with one method, `watch(service)`, that yields snapshots for ever
keeper          owns one watch: begins it again when it fails, and publishes what changed
joined          one set of instances from several registries
registrar       the other seam, the provider's side: a place in which an instance can be registered
guard           what the keeper decides by: an empty set may be a registry's loss of memory, and is held back
backoff, rate   how long to wait after a failure; how often a registry may be asked

static          instances written down in the configuration
file            instances listed in a file, followed while it changes; file_format reads its two shapes
http            such a list at a URL, looked at again and again
consul/         services in Consul, by blocking queries
dns/            addresses and SRV records of a name, asked for again whenever their TTL has passed
etcd/           services in etcd, by a watch of their keys
docker/         containers of a Docker Engine, by its events
swarm/          services of a Docker Swarm, looked at again and again, and often after an event
engine/         Docker's API, which these two share

embedded/       a registry of our own for when there is no other: Consul's HTTP API for services, kept in SQLite
check           try once whether an address answers: for the embedded registry's checks and for our probes

A registry of your own needs `watch` and nothing else. It does not retry, and remembers nothing between watches: it
raises RegistryError, which says what is wrong, and the keeper calls again.
"""
