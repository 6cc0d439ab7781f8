"""What a Mesos master told: its state at first, then the changes. Nothing here waits or reads a clock.

The events are those of mesos.v1.master.Event, in JSON, where what has no value is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from config.units import show
from discovery.instance import Snapshot, first_line
from discovery.mesos.tasks import GONE, Agent, read_task, task_id, text_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from discovery.instance import Instance
    from discovery.mesos.tasks import Wanted

HEARTBEAT = 15.0  # seconds between two heartbeats, where the master does not say
_LONGEST_HEARTBEAT = 300.0  # seconds


class Cluster:
    """The tasks that are wanted, and where their agents are.

    `heartbeat` is how many seconds lie between two signs of life of the master.
    """

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._tasks: dict[str, Mapping[str, Any]] = {}
        self._agents: dict[str, Agent] = {}
        self._frameworks: dict[str, str] = {}  # names by ID
        self._known = False
        self.heartbeat = HEARTBEAT

    @property
    def known(self) -> bool:
        """True once the master has told its state."""
        return self._known

    def told(self, event: object) -> None:
        """Take in one event. Raises ValueError when it makes no sense."""
        if not isinstance(event, dict) or not isinstance(event.get("type"), str):
            raise ValueError(f"an event must be an object with a type, not {show(event)}; is this Mesos' operator API?")
        kind = event["type"]
        if not self._known and kind not in ("SUBSCRIBED", "HEARTBEAT"):
            raise ValueError(f"the first event must be SUBSCRIBED, not {show(kind)}")
        match kind:
            case "SUBSCRIBED":
                self._subscribed(_object(event, "subscribed"))
            case "TASK_ADDED":
                self._add(_object(_object(event, "task_added"), "task"))
            case "TASK_UPDATED":
                self._update(_object(event, "task_updated"))
            case "AGENT_ADDED":
                self._add_agent(_object(_object(event, "agent_added"), "agent"))
            case "AGENT_REMOVED":
                self._remove_agent(text_at(_object(event, "agent_removed"), "agent_id", "value"))
            case "FRAMEWORK_ADDED" | "FRAMEWORK_UPDATED":
                self._add_framework(_object(_object(event, kind.lower()), "framework"))
            case "FRAMEWORK_REMOVED":
                self._remove_framework(_object(event, "framework_removed"))
            # What else there is, HEARTBEAT included, says nothing of tasks.

    def snapshot(self, service: str, *, continuous: bool) -> Snapshot:
        """Return the instances that are wanted."""
        instances: list[Instance] = []
        unreadable: list[str] = []
        for identity, task in self._tasks.items():
            framework = self._frameworks.get(text_at(task, "framework_id", "value"), "")
            if self._wanted.framework not in ("", framework):
                continue
            agent = self._agents.get(text_at(task, "agent_id", "value"))
            try:
                if agent is None:
                    raise ValueError("nothing is known of its agent")
                instances.append(read_task(task, agent, self._wanted))
            except ValueError as error:
                unreadable.append(f"{first_line(identity)}: {error}")
        return Snapshot(service, tuple(instances), continuous=continuous, unreadable=tuple(unreadable))

    def _subscribed(self, told: Mapping[str, Any]) -> None:
        """Begin anew with a master's whole state."""
        interval = told.get("heartbeat_interval_seconds")
        if isinstance(interval, int | float) and not isinstance(interval, bool) and 0 < interval <= _LONGEST_HEARTBEAT:
            self.heartbeat = float(interval)
        state = _object(told, "get_state")
        self._tasks, self._agents, self._frameworks = {}, {}, {}
        for agent in _objects(state, "get_agents", "agents"):
            self._add_agent(agent)
        for framework in _objects(state, "get_frameworks", "frameworks"):
            self._add_framework(framework)
        # Completed ones are over, orphans' frameworks may come back; neither the pending ones have an agent yet.
        for key in ("tasks", "orphan_tasks", "unreachable_tasks"):
            for task in _objects(state, "get_tasks", key):
                self._add(task)
        self._known = True

    def _add(self, task: Mapping[str, Any]) -> None:
        identity = task_id(task)
        if identity and self._wanted.covers(task):
            self._tasks.pop(identity, None)
            if task.get("state") not in GONE:
                self._tasks[identity] = task

    def _update(self, told: Mapping[str, Any]) -> None:
        """Take in a new state of a task. Newer masters tell it in `status`, older ones beside the task's ID."""
        status = told.get("status")
        status = status if isinstance(status, dict) else {}
        identity = text_at(status, "task_id", "value") or task_id(told)
        # `state` is that of the agent's newest word; `status` may be an older one that was sent again.
        state = told.get("state") or status.get("state")
        if identity not in self._tasks or not isinstance(state, str):
            return
        if state in GONE:
            del self._tasks[identity]
            return
        task = dict(self._tasks[identity], state=state)
        if status:
            task["statuses"] = [status]
        self._tasks[identity] = task

    def _add_agent(self, agent: Mapping[str, Any]) -> None:
        info = agent.get("agent_info")
        if isinstance(info, dict) and (identity := text_at(info, "id", "value")):
            zone = text_at(info, "domain", "fault_domain", "zone", "name")
            self._agents[identity] = Agent(text_at(info, "hostname"), zone)

    def _remove_agent(self, identity: str) -> None:
        self._agents.pop(identity, None)
        self._drop("agent_id", identity)

    def _add_framework(self, framework: Mapping[str, Any]) -> None:
        info = framework.get("framework_info")
        if isinstance(info, dict) and (identity := text_at(info, "id", "value")):
            self._frameworks[identity] = text_at(info, "name")

    def _remove_framework(self, told: Mapping[str, Any]) -> None:
        identity = text_at(told, "framework_info", "id", "value")
        self._frameworks.pop(identity, None)
        self._drop("framework_id", identity)

    def _drop(self, key: str, identity: str) -> None:
        self._tasks = {name: task for name, task in self._tasks.items() if text_at(task, key, "value") != identity}


def _object(holder: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = holder.get(key)
    if not isinstance(value, dict):
        raise ValueError(f"{key} must be an object, not {show(value)}")
    return value


def _objects(holder: Mapping[str, Any], *steps: str) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of a list that is some steps away; Mesos leaves out what is empty."""
    value: Any = holder
    for step in steps:
        value = value.get(step) if isinstance(value, dict) else None
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))
