import pytest

from config.errors import ConfigError, KeyPath, Problem, show_path, suggest


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("routes", 0, "service"), "routes[0].service"),
        (("services", "my-web_1", "guard"), "services.my-web_1.guard"),
        (("services", "a.b", "guard"), 'services["a.b"].guard'),
    ],
)
def test_paths(path, text):
    assert show_path(path) == text


def test_a_line_is_that_of_the_nearest_part_that_is_in_the_file():
    lines: dict[KeyPath, int] = {(): 1, ("a",): 3, ("a", "b"): 4}
    error = ConfigError(
        "p.yaml", [Problem(("a", "b", "c"), "deep"), Problem(("a", "x"), "near"), Problem(("y",), "far")], lines
    )
    assert str(error) == "p.yaml:1: y: far\np.yaml:3: a.x: near\np.yaml:4: a.b.c: deep"
    assert error.lines == (1, 3, 4)


def test_a_problem_may_know_its_line_better():
    assert str(ConfigError("p.yaml", [Problem(("a",), "twice", line=9)], {("a",): 1})) == "p.yaml:9: a: twice"


def test_without_a_line():
    assert str(ConfigError("p.yaml", [Problem((), "empty", "write something")])) == "p.yaml: empty; write something"


def test_the_same_problem_is_told_once():
    assert len(ConfigError("p.yaml", [Problem((), "empty"), Problem((), "empty")]).problems) == 1


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("balncer", "did you mean 'balancer'?"),
        ("Health", "did you mean 'health'?"),
        ("xyz", "there are: balancer, health"),
    ],
)
def test_suggestions(word, hint):
    assert suggest(word, ["health", "balancer"], "there are") == hint
