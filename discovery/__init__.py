"""Who is out there? What registries say of the instances of a service.

instance        the values that all registries speak in: Instance, Snapshot
registry        the seam: a registry is an object with one method, `watch(service)`, that yields snapshots for ever
keeper          owns one watch: begins it again when it fails, and publishes what changed
joined          one set of instances from several registries
registrar       the other seam, the provider's side: a place in which an instance can be registered
registration    owns one instance's place there: puts it in, keeps it, takes it out; presence decides what is next
here            which address of this machine others reach it at
catalog         a second thing that some registries can do: say which services they hold
guard           what the keeper decides by: a set that lost many instances may be a registry's mistake, and is held back
pace            what else it decides by: changes that follow each other closely are passed on together
news            what tells whoever waits that there is something to pass on
freshness       how soon they were, for the metrics
stored, state   the last good sets on disk, for the next process: what a file looks like; the folder and its writer
backoff, rate   how long to wait after a failure; how often a registry may be asked

static          instances written down in the configuration
file            instances listed in a file, followed while it changes; file_format reads its two shapes
http            such a list at a URL, looked at again and again
consul/         services in Consul, by blocking queries
dns/            addresses and SRV records of a name, asked for again whenever their TTL has passed
etcd/           services in etcd, by a watch of their keys
kubernetes/     services in Kubernetes, by a watch of their EndpointSlices
eureka/         services in Eureka, by a row of questions that all of them share
mesos/          tasks in Mesos, by a subscription to the leading master
marathon/       apps in Marathon, read again whenever its events say so
own             a registry that another package brings along
labels, login   what several registries have in common: labels that are for us, a user's name and password
zookeeper/      services in ZooKeeper, by watches of a path and its children; and instances registered there
docker/         containers of a Docker Engine, by its events
swarm/          services of a Docker Swarm, looked at again and again, and often after an event
engine/         Docker's API, which these two share

embedded/       a registry of our own for when there is no other: Consul's HTTP API for services, kept in SQLite
check           try once whether an address answers: for the embedded registry's checks and for our probes;
                answer reads what comes back by HTTP, body_match says what it must hold, grpc_health asks by gRPC's
                protocol for that
endings         how connections end that are left in the middle of an answer
cancelled       what becomes of a task that was asked to end, and met a fault on its way out

A registry of your own needs `watch` and nothing else. It does not retry, and remembers nothing between watches: it
raises RegistryError, which says what is wrong, and the keeper calls again.
"""
