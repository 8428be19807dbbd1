from bot.app.metrics import Metrics


def _sample(metrics, name, **labels):
    return metrics.registry.get_sample_value(name, labels)


def test_each_verb_moves_its_own_metric():
    metrics = Metrics()
    metrics.command("unlock", "done")
    metrics.unlock("staging", "released")
    metrics.refusal("dead")
    metrics.upstream("GitHub", "runs", outcome="found", seconds=0.2)
    metrics.time_to_unlock(42)

    assert _sample(metrics, "tflock_commands_total", command="unlock", outcome="done") == 1
    assert _sample(metrics, "tflock_unlocks_total", state="staging", outcome="released") == 1
    assert _sample(metrics, "tflock_gate_refusals_total", rule="dead") == 1
    assert _sample(metrics, "tflock_upstream_seconds_sum", system="GitHub", call="runs", outcome="found") == 0.2
    assert _sample(metrics, "tflock_time_to_unlock_seconds_sum") == 42


def test_a_lock_that_is_gone_has_no_age():
    metrics = Metrics()
    metrics.lock("staging", held=True, age_seconds=7200)
    assert _sample(metrics, "tflock_lock_held", state="staging") == 1
    assert _sample(metrics, "tflock_lock_age_seconds", state="staging") == 7200

    metrics.lock("staging", held=False, age_seconds=7200)
    assert _sample(metrics, "tflock_lock_held", state="staging") == 0
    assert _sample(metrics, "tflock_lock_age_seconds", state="staging") == 0


def test_two_of_them_live_side_by_side():
    one, other = Metrics(), Metrics()
    one.refusal("quiet")
    assert _sample(other, "tflock_gate_refusals_total", rule="quiet") is None


def test_the_exposition_is_prometheus_text():
    metrics = Metrics()
    metrics.refusal("quiet")
    assert b'tflock_gate_refusals_total{rule="quiet"} 1.0' in metrics.exposition()
    assert metrics.content_type.startswith("text/plain")
