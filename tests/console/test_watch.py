from presagio.console.watch import Watch
from presagio.errors import StorageError


def test_an_outage_is_dated_by_the_last_answer() -> None:
    answers = {"S3": True}

    def ask() -> None:
        if not answers["S3"]:
            raise StorageError("no answer")

    watch = Watch({"S3": ask, "API": lambda: None})
    watch.look()
    assert not list(watch.outages)
    answers["S3"] = False
    watch.look()
    (first,) = list(watch.outages)
    assert first.name == "S3"
    watch.look()
    assert list(watch.outages) == [first]
    answers["S3"] = True
    watch.look()
    assert not list(watch.outages)


def test_the_thread_ends_when_it_is_told_to() -> None:
    asked = []
    watch = Watch({"API": lambda: asked.append(1)}, period_s=0.01)
    watch.start()
    while not asked:
        pass
    watch.close()
    assert watch._thread is not None
    assert not watch._thread.is_alive()
