from bench.routes import COUNTS, main, measure


def test_every_count_is_measured(capsys, monkeypatch):
    monkeypatch.setattr("bench.routes.FINDS", 40)
    main()
    lines = capsys.readouterr().out.splitlines()
    assert [int(line.split()[0]) for line in lines[1:]] == list(COUNTS)
    assert measure(100) > 0
