"""What the host says of itself."""

import pytest

from tilewright.machine import cpu


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/cpu.max": "200000 100000\n",
                "sys/fs/cgroup/a/b/cpu.max": "400000 100000\n",
            },
            2.0,
        ),
        (
            {
                "proc/self/cgroup": "3:memory:/x\n2:cpu,cpuacct:/job\n",
                "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "50000\n",
                "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
            },
            0.5,
        ),
        (
            {
                "proc/self/cgroup": "2:cpu:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
    ],
)
def test_quotas_of_both_versions(tmp_path, files, quota):
    assert cpu.cgroup_quota(write(tmp_path, files)) == quota


def test_a_quota_limits_the_number_of_threads(monkeypatch):
    for quota, expected in ((0.5, 1), (1.5, 2), (None, 4), (64.0, 4)):
        monkeypatch.setattr(cpu, "cgroup_quota", lambda root, quota=quota: quota)
        monkeypatch.setattr(cpu, "allowed_cpus", lambda: frozenset(range(4)))
        assert cpu.cpu_limit.__wrapped__() == expected


def test_caches(tmp_path):
    folder = "sys/devices/system/cpu/cpu0/cache"
    files = {
        f"{folder}/index0/level": "1",
        f"{folder}/index0/type": "Instruction",
        f"{folder}/index0/size": "64K",
        f"{folder}/index1/level": "1",
        f"{folder}/index1/type": "Data",
        f"{folder}/index1/size": "48K",
        f"{folder}/index2/level": "2",
        f"{folder}/index2/type": "Unified",
        f"{folder}/index2/size": "2M",
    }
    root = write(tmp_path, files)
    assert cpu.cache_bytes(1, root=root) == 48 << 10
    assert cpu.cache_bytes(2, root=root) == 2 << 20
    assert cpu.cache_bytes(3, root=root) == 8 << 20  # not said: a guess


def test_this_host():
    assert cpu.cpu_limit() >= 1
    assert cpu.cache_bytes(1) <= cpu.cache_bytes(2) <= cpu.cache_bytes(3)
