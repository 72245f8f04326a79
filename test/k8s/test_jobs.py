"""Jobs, CronJobs and init containers use MQTT and end by themselves."""

import release
from workloads import apps

LABELLED = {"sqmqos.io/inject": "true"}


async def test_jobs_end_by_themselves_and_runs_of_a_cron_job_share_a_group(env):
    k8s = await env.cluster(labels=LABELLED)
    await release.installed(k8s)
    made = await apps(k8s)
    recorder = made.recorder
    publish = ("publish", "job", "--topic", "runs/1", "--qos", 1, "--count", 20)
    run = made.template("cron", "publish", "cron", "--topic", "ticks/1", "--count", 1,
                        annotations={"subscribe": "runs/#"}, restartPolicy="Never")
    await k8s.apply([
        made.deployment("watch", "consume", "watch", annotations={"subscribe": "ticks/#"}),
        {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "cron"}, "spec": {
            "schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": run}}}}])
    await k8s.rolled_out("deployments", "watch")
    for n in ("28512480", "28512540"):
        await k8s.kubectl("create", "job", f"cron-{n}", "--from=cronjob/cron")
        await k8s.condition("jobs", f"cron-{n}", "Complete", 60)
    await k8s.apply(made.job("job", *publish))
    await k8s.condition("jobs", "job", "Complete", 60)
    await recorder.until(lambda: len(recorder.of("got", "watch")) == 2, "both runs were heard")
    # Both runs have declared for the group "cron": who joins it finds what the job published
    # behind them, each message once.
    await k8s.apply(made.pod("late", "consume", "late",
                             annotations={"subscribe": "runs/#", "workload": "cron"}))
    await recorder.all_got("job", 20, "late")
    assert not recorder.doubled("late")


async def test_an_init_container_publishes_before_the_app_starts(env):
    k8s = await env.cluster(labels=LABELLED)
    await release.installed(k8s)
    made = await apps(k8s)
    first = made.container("publish", "init", "--topic", "boot/1", "--qos", 1, "--count", 3)
    first["name"] = "first"
    await k8s.apply(made.deployment("watch", "consume", "watch",
                                    annotations={"subscribe": "boot/#"}))
    await k8s.rolled_out("deployments", "watch")
    await k8s.apply(made.pod("late", "publish", "app", "--topic", "boot/2", "--count", 1,
                             initContainers=[first], restartPolicy="Never"))
    await k8s.succeeded("late")
    recorder = made.recorder
    await recorder.all_got("init", 3, "watch")
    await recorder.all_got("app", 1, "watch")
    names = [e["who"] for e in recorder.events if e["event"] == "done"]
    assert names == ["init", "app"]
    status = (await k8s.get("pods", "late"))["status"]["initContainerStatuses"]
    sidecar = next(s for s in status if s["name"] == "sqmqos-sidecar")
    assert sidecar["state"]["terminated"]["exitCode"] == 0
