"""On Ray: the same bytes as on one machine, whoever is killed; and what cannot be is said."""

import random
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from tests.alpha.scale.cluster_driver import (
    MEMORY,
    SETTINGS,
    TABLE,
    files,
    killed_workers,
    resumed,
    started,
    wait_for,
)
from tests.alpha.scale.processes import at_work, of_parent, seconds_until_gone, variables
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.scale import joining
from tilewright.alpha.scale.cluster import Cluster
from tilewright.alpha.scale.walk import walk
from tilewright.alpha.walking.windows import windows_of

ray = pytest.importorskip("ray", reason="ray is not installed (the extra ray has it)")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore:os.fork")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "job"
    walk(TABLE, SETTINGS, folder)
    return files(folder)


@pytest.fixture(scope="module")
def three_nodes():
    """A cluster of three nodes of one CPU each; the first is the head."""
    from ray.cluster_utils import Cluster as Nodes

    head = dict(num_cpus=1, include_dashboard=False, object_store_memory=MEMORY)
    nodes = Nodes(initialize_head=True, head_node_args=head)
    for _ in range(2):
        nodes.add_node(num_cpus=1, object_store_memory=MEMORY)
    yield nodes
    nodes.shutdown()


def test_nodes_are_killed_and_one_comes_back(three_nodes, whole, tmp_path):
    """Then the driver, then the head: and each time it goes on, here in the end."""
    rng, folder = random.Random(0), tmp_path / "job"
    driver = started(str(folder), three_nodes.address)
    for count in (1, 3):
        wait_for(folder, count, driver)
        time.sleep(rng.uniform(0, 0.3))
        victim = rng.choice(sorted(three_nodes.worker_nodes, key=lambda node: node.node_id))
        three_nodes.remove_node(victim, allow_graceful=False)
        if count == 1:
            three_nodes.add_node(num_cpus=1, object_store_memory=MEMORY)
    wait_for(folder, 5, driver)
    driver.kill()
    driver.communicate()
    scored = len(list(folder.glob("scored/*.npz")))  # often more than were waited for
    if scored < len(windows_of(TABLE.days, SETTINGS)):
        driver = started(str(folder), three_nodes.address)
        wait_for(folder, scored + 1, driver)
        three_nodes.remove_node(three_nodes.head_node, allow_graceful=False)
        _, said = driver.communicate()
        if driver.returncode:  # it may have been done by then
            assert "does not answer any more: what was finished is kept" in said
    walk(TABLE, SETTINGS, folder)
    assert files(folder) == whole


def test_a_cluster_of_its_own_leaves_nothing_behind(whole, tmp_path):
    driver = started(str(tmp_path / "job"), "local:1")
    _, said = driver.communicate()
    assert driver.returncode == 0, said
    assert files(tmp_path / "job") == whole
    assert not ray.is_initialized()


def test_workers_are_killed_and_never_more_at_work_than_there_are_cpus(whole, tmp_path):
    """Each of them keeps to one tile, also as it compiles."""
    driver = started(str(tmp_path / "job"), "local:2")
    most, tiles, over = 0, set(), threading.Event()

    def watch() -> None:
        nonlocal most
        while not over.wait(0.02):
            busy = at_work(of_parent(driver.pid))
            most = max(most, len(busy))
            for pid in busy:
                told = variables(pid)
                tiles.add((told.get("TILEWRIGHT_TILES"), told.get("TILEWRIGHT_PROCESSES")))

    watcher = threading.Thread(target=watch)
    watcher.start()
    wait_for(tmp_path / "job", 1, driver)
    killed = killed_workers(driver, 3, random.Random(2), 1.0)
    _, said = driver.communicate()
    over.set()
    watcher.join()
    assert driver.returncode == 0, said
    assert killed == 3
    assert most == 2
    assert tiles - {(None, None)} == {("1", "1")}  # a process that ends has none
    assert files(tmp_path / "job") == whole


def test_killed_with_its_cluster_it_leaves_nothing_behind(tmp_path):
    """After 3 s at most, most within 0.3; to Ray's own devices two agents stay for a minute."""
    driver = started(str(tmp_path / "job"), "local:1")
    wait_for(tmp_path / "job", 1, driver)
    group = of_parent(driver.pid)
    assert len(group) > 6
    driver.kill()
    driver.communicate()
    assert seconds_until_gone(group, 20) < 20


def test_ctrl_c_ends_it_within_two_seconds_and_leaves_nobody_behind(whole, tmp_path):
    """As a command; then it goes on, here in the end. (0.7 and 1.2 s with eight others at work.)"""
    driver = resumed(tmp_path / "job", "local:1")
    wait_for(tmp_path / "job", 1, driver)
    group = of_parent(driver.pid)
    began = time.monotonic()
    driver.send_signal(signal.SIGINT)
    assert seconds_until_gone(group, 10) < 2
    said, _ = driver.communicate()
    assert time.monotonic() - began < 4  # 2 and as much again, as others may be at work
    assert driver.returncode == 130
    assert "goes on" in said.splitlines()[-1]
    walk(TABLE, SETTINGS, tmp_path / "job")
    assert files(tmp_path / "job") == whole


@pytest.mark.parametrize(
    ("cluster", "words"),
    [
        ("local:0", "cluster must be local:N with a number of CPUs"),
        ("local:9999", "CPUs at most"),
        ("somewhere", "cluster must be local:N, HOST:PORT"),
        ("127.0.0.1:{free}", "No cluster answers at 127.0.0.1:"),
        ("ray://127.0.0.1:{free}", "No cluster answers at ray://127.0.0.1:"),
        ("auto", "cluster must be local:N, HOST:PORT"),
    ],
)
def test_clusters_that_are_none(cluster, words):
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        free = place.getsockname()[1]
    with pytest.raises(AlphaError, match=words) as raised:
        Cluster(cluster.format(free=free))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("reply", [b"HTTP/1.1 400 Bad Request\r\n", b""], ids=["web", "mute"])
def test_what_answers_but_is_no_cluster(reply, monkeypatch):
    """Ray would look for one for minutes, and say so line by line."""
    monkeypatch.setattr(joining, "SPOKEN", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor() as pool:
        served = pool.submit(_answered, server, reply)
        port = server.getsockname()[1]
        with pytest.raises(AlphaError, match=f"at 127.0.0.1:{port} is no cluster of Ray"):
            Cluster(f"127.0.0.1:{port}")
        served.result()


def _answered(server: socket.socket, reply: bytes) -> None:
    """Two callers: who only looks whether somebody is there, and who says something."""
    server.accept()[0].close()
    with server.accept()[0] as connection, suppress(ConnectionError):
        connection.sendall(reply)
        while connection.recv(100):
            pass
