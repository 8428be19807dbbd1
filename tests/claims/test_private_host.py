"""Which host names are one job's alone: containers', pods' and tasks' own, and none that another job gets as well."""

import asyncio
import json
import os

import pytest
from aiohttp import web

from bot.cli.host import is_private
from bot.cli.linux import above

ID = "959fcba5e7a7" + "0f" * 26
DOCKER = f"27 1 0:45 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n"
POD = "runner-t3qyxf-project-7120-concurrent-0-k8x2v"
HOSTS = "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n10.1.2.3\t{}\n"
IN_POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}


@pytest.fixture
def machine(tmp_path):
    """The files of a machine that tell containers and pods."""

    def machine(*, mounts="", cgroup="", hosts="127.0.0.1 localhost\n"):
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "etc").mkdir()
        (tmp_path / "proc/self/mountinfo").write_text(mounts)
        (tmp_path / "proc/self/cgroup").write_text(cgroup)
        (tmp_path / "etc/hosts").write_text(hosts)
        return tmp_path

    return machine


@pytest.mark.parametrize(
    ("host", "files", "private"),
    [
        (ID[:12], {"mounts": DOCKER}, True),
        (ID[:12], {"cgroup": f"1:name=systemd:/docker/{ID}\n"}, True),
        ("build-1", {"mounts": DOCKER}, False),  # --network host, --uts host or --hostname
        (ID[:11], {"mounts": DOCKER}, False),
        ("aaaaaaaaaaaa", {"mounts": DOCKER}, False),
        ("", {"mounts": DOCKER}, False),
        (ID[:12], {}, False),
    ],
)
def test_a_container_has_its_own_id_as_its_name(machine, host, files, private):
    assert is_private({}, host, ["sh"], root=machine(**files)) is private


@pytest.mark.parametrize(
    ("host", "hosts", "environ", "private"),
    [
        (POD, HOSTS.format(POD), IN_POD, True),
        ("agent-abc-cvzn-xwqzt", HOSTS.format("agent-abc-cvzn-xwqzt"), IN_POD, True),
        (POD, HOSTS.format(f"{POD}.ci.svc.cluster.local\t{POD}"), IN_POD, True),
        (POD, HOSTS.format(POD), {}, False),
        (POD, HOSTS.format("another"), IN_POD, False),
        (POD, HOSTS.format(POD).replace("file.", "file (host network)."), IN_POD, False),  # the node's name
        (POD, f"127.0.0.1 {POD}\n", IN_POD, False),
        ("agent-0", HOSTS.format("agent-0"), IN_POD, False),  # a StatefulSet's next pod has it as well
        ("runner-manager", HOSTS.format("runner-manager"), IN_POD, False),  # a name that somebody gave
    ],
)
def test_a_pod_has_its_own_name_unless_it_is_the_nodes_or_is_used_again(machine, host, hosts, environ, private):
    assert is_private(environ, host, ["sh"], root=machine(hosts=hosts)) is private


@pytest.mark.parametrize(
    ("above", "private"),
    [
        (["bash", "tini"], True),
        ([], True),  # the container's first process, or one that `docker exec` started
        (["bash", "Runner.Worker", "Runner.Listener"], False),
        (["sh", "java", "tini"], False),
        (["sh", "gitlab-runner"], False),
        (["bash", "something-new"], False),
        (["bash", ""], False),  # hidden, or another user's
    ],
)
def test_a_container_in_which_an_agent_takes_one_job_after_another_is_no_jobs_own(machine, above, private):
    assert is_private({}, ID[:12], above, root=machine(mounts=DOCKER)) is private


def test_the_line_of_parents_ends_at_the_first_process_or_where_it_cannot_be_seen():
    mine, nobody = list(above(os.getpid())), list(above(2**22))

    assert mine[0].pid == os.getppid()
    assert mine[-1].parent == 0
    assert all(process.name for process in mine)
    assert [process.name for process in nobody] == [""]


@pytest.fixture
async def metadata():
    """The metadata of an ECS container, version 4."""
    runners = []

    async def metadata(document):
        async def container(request):
            return web.Response(text=json.dumps(document))

        app = web.Application()
        app.router.add_get("/v4/abc", container)
        runners.append(web.AppRunner(app))
        await runners[-1].setup()
        await web.TCPSite(runners[-1], "127.0.0.1", 0).start()
        return {"ECS_CONTAINER_METADATA_URI_V4": f"http://127.0.0.1:{runners[-1].addresses[0][1]}/v4/abc"}

    yield metadata
    for runner in runners:
        await runner.cleanup()


AWSVPC = [{"NetworkMode": "awsvpc", "PrivateDNSName": "ip-10-0-1-23.eu-west-1.compute.internal"}]


@pytest.mark.parametrize(
    ("host", "document", "private"),
    [
        (ID[:12], {"DockerId": ID, "Networks": [{"NetworkMode": "bridge"}]}, True),
        ("ip-10-0-9-9", {"DockerId": ID, "Networks": [{"NetworkMode": "host"}]}, False),
        # an address, which another network has too and the next task gets
        ("ip-10-0-1-23.eu-west-1.compute.internal", {"DockerId": "0f9d-1", "Networks": AWSVPC}, False),
        (ID[:12], {}, False),
        (ID[:12], [], False),
    ],
)
async def test_a_task_has_its_own_containers_id_as_its_name(machine, metadata, host, document, private):
    environ = await metadata(document)

    assert await asyncio.to_thread(is_private, environ, host, [], root=machine()) is private


def test_a_task_whose_metadata_does_not_answer_is_not_private(machine):
    environ = {"ECS_CONTAINER_METADATA_URI_V4": "http://127.0.0.1:9"}

    assert not is_private(environ, ID[:12], [], root=machine())
